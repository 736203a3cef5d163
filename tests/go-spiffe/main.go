// Command client proves that the reference Go library works against a Workload
// API as it comes: sources, watchers, mTLS with authorizers, rotation, and
// JWT-SVIDs checked here and by the Workload API. ../README.md has the contract
// that all client programs share.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// The exit codes of the shared contract.
const (
	exitError      = 1
	exitUsage      = 2
	exitRefused    = 3
	exitTimeout    = 4
	exitHoldFailed = 5
)

// failure is an error that has its own line on stdout and its own exit code.
type failure struct {
	code int
	line string
}

func (f failure) Error() string { return f.line }

type options struct {
	socket, listen, connect, peerID, audience, spiffeID string
	updates                                             int
	timeout, seconds                                    int
}

func main() {
	commands := map[string]func(context.Context, options) error{
		"serve": serve, "dial": dial, "hold": hold, "rotate": rotate, "jwt": jwt, "bundles": bundles,
	}
	var command func(context.Context, options) error
	if len(os.Args) > 1 {
		command = commands[os.Args[1]]
	}
	if command == nil {
		fmt.Fprintln(os.Stderr, "usage: client serve|dial|hold|rotate|jwt|bundles --socket unix:///path …")
		os.Exit(exitUsage)
	}

	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.socket, "socket", os.Getenv("SPIFFE_ENDPOINT_SOCKET"), "Workload API address")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:0", "serve: address to listen on")
	flags.StringVar(&o.connect, "connect", "", "dial, hold: address to connect to")
	flags.StringVar(&o.peerID, "peer-id", "", "serve, dial, hold: the one SPIFFE ID to accept")
	flags.StringVar(&o.audience, "audience", "", "jwt: audience to ask for")
	flags.StringVar(&o.spiffeID, "spiffe-id", "", "jwt: identity to ask for")
	flags.IntVar(&o.updates, "updates", 2, "rotate, bundles: updates to wait for, the first included")
	flags.IntVar(&o.timeout, "timeout", 60, "seconds to wait for the Workload API and for updates")
	flags.IntVar(&o.seconds, "seconds", 10, "hold: how long")
	flags.Parse(os.Args[2:])

	err := command(context.Background(), o)
	var f failure
	switch {
	case err == nil:
	case errors.As(err, &f):
		fmt.Println(f.line)
		os.Exit(f.code)
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Println("TIMEOUT", err)
		os.Exit(exitTimeout)
	default:
		fmt.Fprintln(os.Stderr, "ERROR", err)
		os.Exit(exitError)
	}
}

func (o options) api() workloadapi.ClientOption { return workloadapi.WithAddr(o.socket) }

func (o options) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(o.timeout)*time.Second)
}

// newSource opens an X509Source; the timeout only covers its first update.
func (o options) newSource(ctx context.Context) (*workloadapi.X509Source, error) {
	ctx, cancel := o.withTimeout(ctx)
	defer cancel()
	return workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(o.api()))
}
