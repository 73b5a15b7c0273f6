package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/policy"
)

// completeTimeout bounds what the shell waits for at a TAB.
const completeTimeout = 3 * time.Second

// completer lists what may stand for a word, each with what it is behind a tab.
type completer func(context.Context, *cluster.Cluster) ([]string, error)

// completers are by the word that a command's usage has for the argument.
var completers = map[string]completer{"VIDEO": videoIDs, "STORE": storeIDs, "HOST": hostNames, "GROUP": heldGroups, "JOB": jobIDs, "TICKET": ticketIDs}

// fixed are words that need no cluster; host commands add theirs.
var fixed = map[string]func() []string{"cold|hot|auto": func() []string { return []string{"cold", "hot", "auto"} }}

// completable gives every command of the tree the completion of its arguments and flags.
func completable(a *cli.App, cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		completable(a, sub)
	}
	if words := strings.Fields(cmd.Use); cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return complete(a, cmd, argument(words[1:], len(args)), args)
		}
	}
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { completeFlag(cmd, f) })
	cmd.PersistentFlags().VisitAll(func(f *pflag.Flag) { completeFlag(cmd, f) })
}

// argument is the word of the usage that stands for the n-th argument: "STORE" of "[STORE…]".
func argument(words []string, n int) string {
	for i, w := range words {
		many := strings.Contains(w, "…")
		if w = strings.Trim(w, "[]…"); strings.HasPrefix(w, "-") || w == "" {
			return ""
		}
		if i == n || many {
			return w
		}
	}
	return ""
}

func complete(a *cli.App, cmd *cobra.Command, word string, args []string) ([]string, cobra.ShellCompDirective) {
	if list := fixed[word]; list != nil {
		return list(), cobra.ShellCompDirectiveNoFileComp
	}
	list := completers[word]
	switch {
	case list == nil && (word == "" || !isFile(word)):
		return nil, cobra.ShellCompDirectiveNoFileComp
	case list == nil:
		return nil, cobra.ShellCompDirectiveDefault
	}
	if fromEnvironment(cmd.Root().PersistentFlags()) != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	c, err := a.Connect(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
	defer cancel()
	found, err := list(ctx, c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	found = slices.DeleteFunc(found, func(s string) bool {
		id, _, _ := strings.Cut(s, "\t")
		return slices.Contains(args, id)
	})
	return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// isFile says of an argument's word that a file of this machine is meant.
func isFile(word string) bool {
	return slices.Contains([]string{"FILE", "FILE|DIR", "BUNDLE", "DIR", "OLD", "NEW"}, word)
}

func completeFlag(cmd *cobra.Command, f *pflag.Flag) {
	words := map[string][]string{
		"output": {"table", "json", "yaml"}, "progress": {"auto", "bar", "plain", "json", "none"}, "class": {"auto", "hot", "cold"}, "policy": policy.Names(),
		"renditions": {"source", "1080p", "720p", "480p", "360p"}, "log-level": {"debug", "info", "warn", "error"}, "log-format": {"text", "json"},
		"write-transport": {"tcp", "quic"},
		"state":           {string(vstack.VideoUploading), string(vstack.VideoPublished), string(vstack.VideoFailed), string(vstack.VideoDeleted)},
	}[f.Name]
	switch {
	case words != nil:
		_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // only a second one of a flag is refused
	case f.Name == "cluster" || f.Name == "dir":
		_ = cmd.MarkFlagDirname(f.Name)
	}
}

func videoIDs(ctx context.Context, c *cluster.Cluster) (out []string, err error) {
	videos, err := c.Videos(ctx, "", 0)
	for _, v := range videos {
		out = append(out, v.ID.String()+"\t"+oneLine(v.Title))
	}
	return out, err
}

// oneLine is a text as a shell may show it beside a word.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

func storeIDs(ctx context.Context, c *cluster.Cluster) (out []string, err error) {
	nodes, err := c.Meta.Nodes(ctx)
	for _, n := range nodes {
		for _, s := range n.Stores {
			out = append(out, s.Addr+"\t"+string(n.Host)+", "+string(s.State))
		}
	}
	return out, err
}

// hostNames are those with stores, and members without.
func hostNames(ctx context.Context, c *cluster.Cluster) (out []string, err error) {
	nodes, err := c.Meta.Nodes(ctx)
	seen := map[string]bool{}
	for _, n := range nodes {
		seen[string(n.Host)] = true
		out = append(out, string(n.Host)+"\t"+string(n.State))
	}
	if st, serr := c.Meta.RaftStatus(ctx); serr == nil {
		for _, p := range st.Peers {
			if !seen[p.ID] {
				out = append(out, p.ID+"\tmember "+p.Standing)
			}
		}
	}
	return out, err
}

func heldGroups(ctx context.Context, c *cluster.Cluster) (out []string, err error) {
	held, err := c.Meta.HeldGroups(ctx)
	for _, g := range held {
		out = append(out, strconv.Itoa(int(g.PG))+"\ttakes no writes")
	}
	return out, err
}

func jobIDs(ctx context.Context, c *cluster.Cluster) (out []string, err error) {
	jobs, err := c.Jobs(ctx)
	if len(jobs) > 0 {
		err = nil // not every uploader answers
	}
	for _, j := range jobs {
		if !j.Upload.IsZero() { // else its file arrives
			out = append(out, j.Upload.String()+"\t"+string(j.State))
		}
	}
	return out, err
}

func ticketIDs(ctx context.Context, c *cluster.Cluster) (out []string, err error) {
	all, err := c.Meta.Tickets(ctx)
	for _, t := range all {
		out = append(out, t.ID.String()[:12]+"\t"+oneLine(t.Note))
	}
	return out, err
}
