package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// rotate proves that an open source sees each new SVID without asking again.
func rotate(ctx context.Context, o options) error {
	ctx, cancel := o.withTimeout(ctx)
	defer cancel()
	source, err := workloadapi.NewX509Source(ctx, workloadapi.WithClientOptions(o.api()))
	if err != nil {
		return err
	}
	defer source.Close()

	last := ""
	for seen := 0; ; {
		svid, err := source.GetX509SVID()
		if err != nil {
			return err
		}
		leaf := svid.Certificates[0]
		if serial := leaf.SerialNumber.Text(16); serial != last {
			last = serial
			seen++
			fmt.Println("SVID", svid.ID, serial, leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		if seen >= o.updates {
			return nil
		}
		if err := source.WaitUntilUpdated(ctx); err != nil {
			return err
		}
	}
}

// bundles proves that both bundle streams deliver at once and on change.
func bundles(ctx context.Context, o options) error {
	ctx, cancel := o.withTimeout(ctx)
	defer cancel()
	w := watcher{x509: make(chan *x509bundle.Set), jwt: make(chan *jwtbundle.Set), failed: make(chan error, 2)}
	go func() { w.failed <- workloadapi.WatchX509Bundles(ctx, w, o.api()) }()
	go func() { w.failed <- workloadapi.WatchJWTBundles(ctx, w, o.api()) }()

	known := map[string]any{} // what was printed last, per kind and trust domain
	updates, x509Seen, jwtSeen := 0, false, false
	for updates < o.updates || !x509Seen || !jwtSeen {
		changed := false
		select {
		case set := <-w.x509:
			x509Seen = true
			for _, b := range set.Bundles() {
				key := "X509-BUNDLE " + b.TrustDomain().Name()
				if old, ok := known[key].(*x509bundle.Bundle); !ok || !old.Equal(b) {
					known[key], changed = b, true
					fmt.Println(key, len(b.X509Authorities()))
				}
			}
		case set := <-w.jwt:
			jwtSeen = true
			for _, b := range set.Bundles() {
				key := "JWT-BUNDLE " + b.TrustDomain().Name()
				if old, ok := known[key].(*jwtbundle.Bundle); !ok || !old.Equal(b) {
					known[key], changed = b, true
					fmt.Println(key, len(b.JWTAuthorities()))
				}
			}
		case err := <-w.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
		if changed {
			updates++
		}
	}
	return nil
}

// watcher hands what the library's callbacks bring to the one loop above.
type watcher struct {
	x509   chan *x509bundle.Set
	jwt    chan *jwtbundle.Set
	failed chan error
}

func (w watcher) OnX509BundlesUpdate(set *x509bundle.Set) { w.x509 <- set }
func (w watcher) OnJWTBundlesUpdate(set *jwtbundle.Set)   { w.jwt <- set }

// The library reconnects by itself after these, except when it is told to stop.
func (w watcher) OnX509BundlesWatchError(error) {}
func (w watcher) OnJWTBundlesWatchError(error)  {}
