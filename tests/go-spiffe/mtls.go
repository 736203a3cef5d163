package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// serve proves the server side: an X509Source that stays current while it
// serves, and an authorizer that lets in one SPIFFE ID.
func serve(ctx context.Context, o options) error {
	peer, err := spiffeid.FromString(o.peerID)
	if err != nil {
		return err
	}
	source, err := o.newSource(ctx)
	if err != nil {
		return err
	}
	defer source.Close()

	mode := spiffetls.MTLSServerWithSource(tlsconfig.AuthorizeID(peer), source)
	listener, err := spiffetls.ListenWithMode(ctx, "tcp", o.listen, mode)
	if err != nil {
		return err
	}
	defer listener.Close()
	fmt.Println("LISTENING", listener.Addr())

	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go serveConn(conn)
	}
}

func serveConn(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if err := conn.(interface{ Handshake() error }).Handshake(); err != nil {
		fmt.Println("REFUSED", oneLine(err))
		return
	}
	id, err := spiffetls.PeerIDFromConn(conn)
	if err != nil {
		fmt.Println("REFUSED", oneLine(err))
		return
	}
	fmt.Println("PEER", id)
	io.Copy(conn, conn)
}

// dial proves the client side once.
func dial(ctx context.Context, o options) error {
	source, err := o.newSource(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	id, err := echo(ctx, o, source)
	if err != nil {
		return err
	}
	fmt.Println("OK", id)
	return nil
}

// hold proves that no handshake ever fails while SVIDs and bundles rotate.
func hold(ctx context.Context, o options) error {
	source, err := o.newSource(ctx)
	if err != nil {
		return err
	}
	defer source.Close()

	count := 0
	for end := time.Now().Add(time.Duration(o.seconds) * time.Second); time.Now().Before(end); count++ {
		if _, err := echo(ctx, o, source); err != nil {
			return failure{exitHoldFailed, fmt.Sprintf("BROKEN after %d: %s", count, oneLine(err))}
		}
		time.Sleep(200 * time.Millisecond)
	}
	fmt.Println("HELD", count)
	return nil
}

// echo dials, sends a line and wants it back. With TLS 1.3 a server refuses a
// client after the client's handshake is over, so everything that fails between
// the TCP connection and the echo is a refusal.
func echo(ctx context.Context, o options, source *workloadapi.X509Source) (spiffeid.ID, error) {
	peer, err := spiffeid.FromString(o.peerID)
	if err != nil {
		return spiffeid.ID{}, err
	}
	tcp, err := net.DialTimeout("tcp", o.connect, 10*time.Second)
	if err != nil {
		return spiffeid.ID{}, err
	}
	tcp.SetDeadline(time.Now().Add(10 * time.Second))
	conn := tls.Client(tcp, tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(peer)))
	defer conn.Close()

	const line = "hello from go-spiffe\n"
	if err := conn.HandshakeContext(ctx); err != nil {
		return spiffeid.ID{}, failure{exitRefused, "REFUSED " + oneLine(err)}
	}
	if _, err := io.WriteString(conn, line); err != nil {
		return spiffeid.ID{}, failure{exitRefused, "REFUSED " + oneLine(err)}
	}
	got, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return spiffeid.ID{}, failure{exitRefused, "REFUSED " + oneLine(err)}
	}
	if got != line {
		return spiffeid.ID{}, fmt.Errorf("echo was %q", got)
	}
	return spiffetls.PeerIDFromConnectionState(conn.ConnectionState())
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }
