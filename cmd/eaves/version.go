package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"eaves/cmd/eaves/internal/app"
	"eaves/cmd/eaves/internal/failure"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "what this eaves is made of",
		Example: "  eaves version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := app.ReadVersion()
			if err := v.ReadSQLite(cmd.Context()); err != nil {
				return failure.New("asking SQLite", err, "")
			}
			fmt.Fprintf(p.out, "eaves %s\n", v.Module)
			fmt.Fprintf(p.out, "commit %s\n", v.Commit)
			fmt.Fprintf(p.out, "go %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
			fts := "no"
			if v.FullText {
				fts = "yes"
			}
			fmt.Fprintf(p.out, "sqlite %s\n", v.SQLite)
			fmt.Fprintf(p.out, "fts5 %s\n", fts)
			return nil
		},
	}
}
