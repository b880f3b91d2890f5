// Command drumbeat predicts the failures of a fleet's machines and tells the
// right person in time. It is one binary for the whole loop; `drumbeat --help`
// lists its commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"drumbeat"
)

// The exit codes: 1 for something that went wrong, 2 for a wrong call, and
// the shell's own for an interrupt.
const (
	exitFault       = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// commands is the table of commands, one file each.
type commands struct {
	Quickstart  quickstartCommand  `cmd:"" help:"The whole loop on simulated machines: from nothing to a live alert within a minute."`
	Run         runCommand         `cmd:"" help:"Keep a data folder's fleet running: ingest, score, alert, serve the page."`
	Init        initCommand        `cmd:"" help:"Propose a fleet folder from CSV files, and say whether they can foretell anything yet."`
	Import      importCommand      `cmd:"" help:"Bring a fleet's CSV files in, through the topic to gold."`
	Ingest      ingestCommand      `cmd:"" help:"Share the work of bringing topics into bronze with other processes."`
	Refine      refineCommand      `cmd:"" help:"Bring silver up to what the topic holds."`
	Backfill    backfillCommand    `cmd:"" help:"Bring gold up to what silver holds."`
	Label       labelCommand       `cmd:"" help:"Label the rows of the next training set."`
	Train       trainCommand       `cmd:"" help:"Fit a model on gold, measure it honestly, register it."`
	Evaluate    evaluateCommand    `cmd:"" help:"Measure a version on what came after its own data."`
	Monitor     monitorCommand     `cmd:"" help:"Look for drift, measure live recall, judge challengers."`
	Models      modelsCommand      `cmd:"" help:"List model versions, judge, promote and roll back."`
	Runs        runsCommand        `cmd:"" help:"List the runs of these stages, and show one step by step."`
	Alerts      alertsCommand      `cmd:"" help:"List alerts and technicians' findings."`
	Deadletters deadlettersCommand `cmd:"" help:"List records that could not be taken in, with the reason, and send them again."`
	Lake        lakeCommand        `cmd:"" help:"Look at the tables, verify, restore and export them."`
	Status      statusCommand      `cmd:"" help:"Lag, freshness, machines, alerts, model and disk at a glance, and what to do next."`
	Doctor      doctorCommand      `cmd:"" help:"Check a data folder and everything in it; each fault comes with its mend."`
	Config      configCommand      `cmd:"" help:"Check fleet files before they are used."`
	Sim         simCommand         `cmd:"" help:"Simulate a laundry fleet into CSV files."`
	Token       tokenCommand       `cmd:"" help:"Make a bearer token or a sign-in link for a data folder."`
	Completion  completionCommand  `cmd:"" help:"Print the completion script of a shell."`
	Complete    completeCommand    `cmd:"" hidden:"" passthrough:""`
	Version     versionCommand     `cmd:"" help:"Print the version."`

	Verbose bool `short:"v" help:"Log what the parts do, to standard error."`
}

// process is what a command may know of the process that it runs in.
type process struct {
	stdout   io.Writer
	stderr   io.Writer
	log      *slog.Logger
	terminal bool // standard error is a terminal: progress may be drawn
}

func main() { os.Exit(run(os.Args[1:])) }

// run parses the arguments, runs the command and returns the exit code.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("drumbeat"),
		kong.Description("Predicts machine failures and tells the right person in time.\n\n"+
			"Start with `drumbeat quickstart`. Data stays in one folder (--dir, --data); nothing else is needed."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"steps": strings.Join(stepNames, ",")},
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "drumbeat:", err)
		return exitFault
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	kongCtx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "drumbeat:", err)
		fmt.Fprintln(os.Stderr, "drumbeat --help lists the commands, drumbeat COMMAND --help their flags")
		return exitUsage
	}
	err = kongCtx.Run(newProcess(cli.Verbose))
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	case errors.Is(err, errSaid):
		return exitFault
	default:
		fmt.Fprintln(os.Stderr, "drumbeat:", err)
		if errors.Is(err, drumbeat.ErrNewer) {
			fmt.Fprintln(os.Stderr, "use the Drumbeat that wrote this folder, or a later one")
		}
		return exitFault
	}
}

// errSaid ends a command whose fault was already told on its output.
var errSaid = errors.New("already said")

func newProcess(verbose bool) *process {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelInfo
	}
	return &process{
		stdout:   os.Stdout,
		stderr:   os.Stderr,
		log:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
		terminal: isTerminal(os.Stderr),
	}
}
