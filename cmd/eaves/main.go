// Command eaves is a local HTTP and HTTPS intercepting proxy: it records every exchange to SQLite, shows it live in a web
// console, and sends it again.
//
// Each command is a file here. A command parses, calls and prints; what it knows of exchanges it asks the console's
// API, which is that of the running eaves if one holds the data directory, else the same handler within this process.
//
// # Output
//
// Standard output carries results only. An error is a line "eaves: what failed: why" on standard error, below it a line
// "hint: the next thing to type" wherever there is one. The exit status is 0 for done, 1 for work that failed, 2 for
// wrong usage or configuration. Captured text is shown with control characters made harmless; bytes asked for as bytes
// are written as they are.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"eaves/cmd/eaves/internal/app"
	"eaves/cmd/eaves/internal/client"
	"eaves/cmd/eaves/internal/config"
	"eaves/cmd/eaves/internal/failure"
)

func main() {
	p := &program{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	os.Exit(p.execute(context.Background(), os.Args[1:]))
}

// program is what all commands share: where they read and write.
type program struct {
	in       io.Reader
	out, err io.Writer
}

// execute runs the command line and returns the exit status.
func (p *program) execute(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	parsed := false
	root.PersistentPreRun = func(*cobra.Command, []string) { parsed = true }
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !parsed {
		// Whatever cobra finds wrong before a command runs is wrong usage.
		err = failure.Wrong(strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "eaves"), " "), err, cmd.CommandPath()+" --help")
	}
	failure.Print(p.err, err)
	return failure.Code(err)
}

// help opens with examples: who asks mostly wants one to copy.
const help = `{{if .HasExample}}Examples:
{{.Example}}

{{end}}{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}`

const usage = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of every command:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
`

// root is the whole command line.
func (p *program) root() *cobra.Command {
	root := p.runCommand()
	root.Use = "eaves"
	root.Short = "a local HTTP and HTTPS intercepting debugging proxy"
	root.Long = `eaves records the HTTP and HTTPS traffic that is sent through it, shows it live in a web console, and sends it again.
Without a command it is "eaves run".`
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpTemplate(help)
	root.SetUsageTemplate(usage)
	config.AddPlaceFlags(root.PersistentFlags())
	root.AddCommand(p.runCommand(), p.versionCommand(), p.caCommand(), p.listCommand(), p.showCommand(), p.replayCommand(),
		p.diffCommand(), p.pruneCommand(), p.exportCommand(), p.importCommand(), p.ruleCommand(), p.certCommand(), p.trustCommand(), p.tlsCommand(), p.secretCommand(), p.routeCommand(), p.recordingCommand(), p.browserCommand(), p.labCommand(),
		p.explainCommand(), p.doctorCommand())
	root.SetHelpCommand(&cobra.Command{Use: "help [COMMAND]", Short: "help about a command", Example: "  eaves help list", RunE: func(cmd *cobra.Command, args []string) error {
		about, rest, err := root.Find(args)
		if err != nil || len(rest) > 0 {
			return failure.Wrong("help", fmt.Errorf("unknown command %q", strings.Join(args, " ")), "eaves --help")
		}
		return about.Help()
	}})
	return root
}

// group is a command that only has commands below it.
func group(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return failure.Wrong(cmd.Name(), errors.New("which command?"), cmd.CommandPath()+" --help")
	}}
	c.AddCommand(commands...)
	return c
}

// connect loads the configuration and reaches the API. The caller calls the returned function in the end.
func (p *program) connect(cmd *cobra.Command) (*client.Client, func() error, error) {
	cfg, err := config.Load(cmd.Flags())
	if err != nil {
		return nil, nil, err
	}
	return app.Connect(cmd.Context(), cfg, p.say)
}

// withAPI runs work with the API at hand.
func (p *program) withAPI(cmd *cobra.Command, work func(*client.Client) error) error {
	c, done, err := p.connect(cmd)
	if err != nil {
		return err
	}
	err = work(c)
	if fe := (*failure.Error)(nil); errors.As(err, &fe) && fe.What == "" {
		fe.What = strings.TrimPrefix(cmd.CommandPath(), "eaves ")
	}
	return errors.Join(err, done())
}

// say tells the user something that is no result.
func (p *program) say(line string) { fmt.Fprintln(p.err, "eaves: "+strings.TrimSuffix(line, "\n")) }

// terminal says whether w is a terminal, and how wide it is.
func terminal(w io.Writer) (width int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return width, true
}
