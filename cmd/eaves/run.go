package main

import (
	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/app"
	"eaves/cmd/eaves/internal/config"
)

func (p *program) runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "start proxy and console (the default)",
		Example: `  eaves                                   proxy on 127.0.0.1:8484, console on 127.0.0.1:8485
  eaves run --open                        and open the console in a browser
  eaves run --lan                         let phones on this network in
  eaves run --listen 127.0.0.1:0 --console off --ready-file ready.json
  eaves run --passthrough '*.bank.test'   leave these hosts' TLS alone`,
		Long: `run starts proxy and console and prints where they are. It ends with SIGINT or SIGTERM: exchanges under way may finish,
what was recorded is committed. A second signal ends it at once.

Every flag is also a key of eaves.yaml (in the data directory, else in the user's config directory) and a variable:
--ready-file is readyFile and EAVES_READY_FILE, --retention-max-size is maxSize below retention and
EAVES_RETENTION_MAX_SIZE. A flag beats the environment, the environment beats the file.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			return app.Run(cmd.Context(), cfg, p.out, p.say)
		},
	}
	config.AddFlags(c.Flags())
	return c
}
