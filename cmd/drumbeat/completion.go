package main

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"drumbeat/fleets"
)

// completionCommand prints a shell's completion script.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help teaches the command.
func (completionCommand) Help() string {
	return `The script asks this program for what may come next: commands, flags, their values, and the fleets of the data folder that
stands on the line. So it never grows old.

Examples:
  source <(drumbeat completion bash)                              this shell; into ~/.bashrc for all
  drumbeat completion bash > /etc/bash_completion.d/drumbeat      for every user
  drumbeat completion zsh > "${fpath[1]}/_drumbeat"
  drumbeat completion fish > ~/.config/fish/completions/drumbeat.fish`
}

// Run prints the script.
func (c *completionCommand) Run(p *process) error {
	_, err := io.WriteString(p.stdout, scripts[c.Shell])
	if err != nil {
		return fmt.Errorf("print the script: %w", err)
	}
	return nil
}

// completeCommand answers the scripts. Its words are those of the command line
// after the program's name; the last is the one that is being typed.
type completeCommand struct {
	Words []string `arg:"" optional:""`
}

// Run prints what may stand for the last word: a line each, the word, a tab
// and what it means. A first line ":files" or ":folders" asks the shell for
// names of its own.
func (c *completeCommand) Run(k *kong.Kong, p *process) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	for _, candidate := range completions(k.Model.Node, words) {
		line := candidate.word
		if candidate.help != "" {
			line += "\t" + candidate.help
		}
		if _, err := fmt.Fprintln(p.stdout, line); err != nil {
			return fmt.Errorf("print completions: %w", err)
		}
	}
	return nil
}

// candidate is one word that may come next.
type candidate struct{ word, help string }

// What the shell is asked to complete by itself.
const (
	askFiles   = ":files"
	askFolders = ":folders"
)

// completions lists what may stand for the last word.
func completions(node *kong.Node, words []string) []candidate {
	typed := ""
	if len(words) > 0 {
		typed, words = words[len(words)-1], words[:len(words)-1]
	}
	line := commandLine{node: node, values: map[string]string{}}
	line.read(words)
	if flag := line.waiting; flag != nil {
		return line.choices(flag.Value, typed, "")
	}
	if name, value, assigned := strings.Cut(typed, "="); assigned && strings.HasPrefix(name, "--") {
		if flag := line.flag(name); flag != nil {
			return line.choices(flag.Value, value, name+"=")
		}
		return nil
	}
	if strings.HasPrefix(typed, "-") {
		return line.flags(typed)
	}
	var all []candidate
	for _, child := range line.node.Children {
		if !child.Hidden {
			all = append(all, candidate{child.Name, child.Help})
		}
	}
	all = matching(all, typed)
	if at := min(line.arguments, len(line.node.Positional)-1); at >= 0 {
		all = append(all, line.choices(line.node.Positional[at], typed, "")...)
	}
	return all
}

// commandLine is what stands on the line before the word that is typed.
type commandLine struct {
	node      *kong.Node
	values    map[string]string // of flags that were given
	arguments int               // positional ones so far
	waiting   *kong.Flag        // the flag whose value is typed
}

func (l *commandLine) read(words []string) {
	for _, word := range words {
		if flag := l.waiting; flag != nil {
			l.values[flag.Name], l.waiting = word, nil
			continue
		}
		name, value, assigned := strings.Cut(word, "=")
		if strings.HasPrefix(word, "-") {
			flag := l.flag(name)
			switch {
			case flag == nil:
			case assigned:
				l.values[flag.Name] = value
			case flag.IsBool() || flag.IsCounter():
				l.values[flag.Name] = "true"
			default:
				l.waiting = flag
			}
			continue
		}
		at := slices.IndexFunc(l.node.Children, func(n *kong.Node) bool { return n.Name == word || slices.Contains(n.Aliases, word) })
		if at < 0 {
			l.arguments++
			continue
		}
		l.node = l.node.Children[at]
	}
}

// each calls visit for every flag that may stand here: the command's own and
// those of what it is part of.
func (l *commandLine) each(visit func(*kong.Flag)) {
	for node := l.node; node != nil; node = node.Parent {
		for _, flag := range node.Flags {
			visit(flag)
		}
	}
	if l.node.DefaultCmd != nil { // a command that is meant where none is named
		for _, flag := range l.node.DefaultCmd.Flags {
			visit(flag)
		}
	}
}

// flag returns the flag that is written so, nil if there is none.
func (l *commandLine) flag(written string) (found *kong.Flag) {
	l.each(func(flag *kong.Flag) {
		if written == "--"+flag.Name || flag.Short != 0 && written == "-"+string(flag.Short) {
			found = flag
		}
	})
	return found
}

// flags lists the flags that were not given yet.
func (l *commandLine) flags(typed string) []candidate {
	var all []candidate
	l.each(func(flag *kong.Flag) {
		if _, given := l.values[flag.Name]; !given && !flag.Hidden {
			all = append(all, candidate{"--" + flag.Name, flag.Help})
		}
	})
	return matching(all, typed)
}

// choices lists what a value may be, each with a prefix before it.
func (l *commandLine) choices(value *kong.Value, typed, prefix string) []candidate {
	var all []candidate
	switch {
	case value.Enum != "":
		for word := range value.EnumMap() {
			all = append(all, candidate{word: word})
		}
	case value.Tag.Type == "path" || value.Tag.Type == "existingdir":
		return []candidate{{word: askFolders}}
	case value.Tag.Type == "existingfile":
		return []candidate{{word: askFiles}}
	case value.Name == "fleet":
		return append(l.fleets(typed, prefix), candidate{word: askFolders})
	}
	all = slices.DeleteFunc(matching(all, typed), func(c candidate) bool { return c.word == "" })
	for i := range all {
		all[i].word = prefix + all[i].word
	}
	return all
}

// fleets lists the fleets of the data folder that stands on the line, or the
// ready ones where there is none.
func (l *commandLine) fleets(typed, prefix string) []candidate {
	help := "fleet of the data folder"
	entries, err := os.ReadDir(folderPath(l.values["data"], fleetsDir))
	if err != nil {
		help = "ready fleet"
		entries, _ = fs.ReadDir(fleets.FS(), ".") // an embedded folder is readable
	}
	var all []candidate
	for _, entry := range entries {
		if entry.IsDir() {
			all = append(all, candidate{word: entry.Name(), help: help})
		}
	}
	all = matching(all, typed)
	for i := range all {
		all[i].word = prefix + all[i].word
	}
	return all
}

// matching keeps what begins as typed, sorted, each with the first sentence of
// its help.
func matching(all []candidate, typed string) []candidate {
	all = slices.DeleteFunc(all, func(c candidate) bool { return !strings.HasPrefix(c.word, typed) })
	for i := range all {
		all[i].help, _, _ = strings.Cut(all[i].help, ". ")
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(a.word, b.word) })
	return slices.CompactFunc(all, func(a, b candidate) bool { return a.word == b.word })
}

// scripts are the shells' halves: they ask the program and hand its answer on.
var scripts = map[string]string{
	"bash": bashScript, "zsh": zshScript, "fish": fishScript,
}

// A bash word is split at = and :, which COMP_LINE is not.
const bashScript = `# bash completion of drumbeat: source <(drumbeat completion bash)
_drumbeat() {
    local line="${COMP_LINE:0:COMP_POINT}" words=() reply word
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local typed="${words[-1]}"
    COMPREPLY=()
    while IFS= read -r reply; do
        word="${reply%%$'\t'*}"
        case "$word" in
        :folders) compopt -o filenames 2>/dev/null; while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -d -- "${COMP_WORDS[COMP_CWORD]#=}") ;;
        :files) compopt -o filenames 2>/dev/null; while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]#=}") ;;
        *=*) COMPREPLY+=("${word#*=}") ;;
        *) COMPREPLY+=("$word") ;;
        esac
    done < <("${words[0]}" complete -- "${words[@]:1}" 2>/dev/null)
}
complete -F _drumbeat drumbeat
`

const zshScript = `#compdef drumbeat
# zsh completion of drumbeat: drumbeat completion zsh > "${fpath[1]}/_drumbeat"
_drumbeat() {
    local -a described asked; local reply ret=1
    asked=("${(@)words[2,CURRENT]}")
    for reply in "${(@f)$("${words[1]}" complete -- "${asked[@]}" 2>/dev/null)}"; do
        case "$reply" in
        "") ;;
        :folders) _files -/ && ret=0 ;;
        :files) _files && ret=0 ;;
        *) described+=("${${reply%%$'\t'*}//:/\\:}:${reply#*$'\t'}") ;;
        esac
    done
    (( ${#described} )) && _describe 'drumbeat' described && ret=0
    return ret
}
if [ "$funcstack[1]" = "_drumbeat" ]; then _drumbeat "$@"; else compdef _drumbeat drumbeat; fi
`

const fishScript = `# fish completion of drumbeat: drumbeat completion fish > ~/.config/fish/completions/drumbeat.fish
function __drumbeat
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    for reply in ($words[1] complete -- $words[2..-1] "$typed" 2>/dev/null)
        switch $reply
            case ':folders'
                __fish_complete_directories "$typed" ''
            case ':files'
                __fish_complete_path "$typed" ''
            case '*'
                echo $reply
        end
    end
end
complete -c drumbeat -f -a '(__drumbeat)'
`
