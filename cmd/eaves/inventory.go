package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eaves/capture"
	"eaves/webui"
)

// inventory is the list of every certificate that is configured or was seen.
var inventory = list{path: "/certificates", field: "certificates", noun: "certificate", listing: "eaves cert inventory"}

func (p *program) certInventoryCommand() *cobra.Command {
	c := listCommand(p, inventory, "every certificate that is configured or was seen, those that end first first", p.printInventory)
	c.Use = "inventory"
	c.Example = "  eaves cert inventory\n  eaves cert inventory --json"
	return c
}

// printInventory prints one certificate, and below it what uses it and what became of it.
func (p *program) printInventory(i webui.InventoryItem) {
	fmt.Fprintln(p.out, harmless(strings.TrimRight(fmt.Sprintf("%-7s %-40s %-22s issued by %s", i.Kind, i.Subject, countdown(i.NotAfter, time.Now()), i.Issuer), " ")))
	for _, use := range i.UsedBy {
		fmt.Fprintf(p.out, "        %s\n", harmless(use))
	}
	if i.Seen != nil {
		fmt.Fprintf(p.out, "        seen at %s\n", harmless(i.Seen.Host))
	}
	last := func(what string, use *capture.CertificateUse) {
		if use != nil {
			fmt.Fprintf(p.out, "        last %s by %s in exchange %d\n", what, harmless(use.Host), use.Exchange)
		}
	}
	last("accepted", i.LastAccepted)
	last("rejected", i.LastRejected)
}
