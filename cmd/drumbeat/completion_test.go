package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

func TestCompletions(t *testing.T) {
	t.Parallel()
	var cli commands
	parser, err := kong.New(&cli, kong.Vars{"steps": strings.Join(stepNames, ",")})
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string][]string{
		"mod":                         {"models"},
		"zz":                          nil,
		"models li":                   {"list"},
		"quickstart --un":             {"--until"},
		"quickstart --until ma":       {"materialize"},
		"quickstart --until=ma":       {"--until=materialize"},
		"quickstart --once --on":      nil, // it was given
		"token --role ":               {"engineer", "technician", "viewer"},
		"status --data ":              {askFolders},
		"status --data=":              {askFolders},
		"status --data D --fleet az":  {"azure-pdm", "azure-pdm-hourly", askFolders},
		"completion ":                 {"bash", "fish", "zsh"},
		"config validate ":            {askFolders},
		"config validate --data X --": {"--help", "--json", "--verbose"},
		"-v mod":                      {"models"},
		"models --js":                 {"--json"}, // of the command that is meant where none is named
	} {
		var got []string
		for _, c := range completions(parser.Model.Node, strings.Split(line, " ")) {
			got = append(got, c.word)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("drumbeat %s (-want +got):\n%s", line, diff)
		}
	}
}

func TestCompletionOffersNothingHidden(t *testing.T) {
	t.Parallel()
	var cli commands
	parser, err := kong.New(&cli, kong.Vars{"steps": strings.Join(stepNames, ",")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(completions(parser.Model.Node, []string{""}), completions(parser.Model.Node, []string{"quickstart", "--"})...) {
		if c.word == "complete" || c.word == "--start" {
			t.Errorf("%s is offered", c.word)
		}
		if c.help == "" {
			t.Errorf("%s is offered without a word on what it means", c.word)
		}
	}
}
