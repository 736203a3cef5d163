#!/usr/bin/env python3
"""Proves that the official Python libraries (spiffe, spiffe-tls) work against a
Workload API as it comes: sources, streams, mTLS with authorizers, rotation, and
JWT-SVIDs checked here and by the Workload API. ../README.md has the contract
that all client programs share.
"""

import argparse
import logging
import os
import queue
import sys
import threading
import time

from cryptography import x509
from OpenSSL import SSL
from spiffe import JwtSource, JwtSvid, SpiffeId, WorkloadApiClient, X509Source
from spiffe.errors import PySpiffeError
from spiffetls import ClientTlsMode, ListenOptions, ServerTlsMode, dial, listen
from spiffetls.errors import TLSConnectionError
from spiffetls.tlsconfig.authorize import authorize_id

EXIT_ERROR, EXIT_REFUSED, EXIT_TIMEOUT, EXIT_HOLD_FAILED = 1, 3, 4, 5
LINE = b'hello from py-spiffe\n'


class Failure(Exception):
    """An outcome that has its own line on stdout and its own exit code."""

    def __init__(self, code, line):
        super().__init__(line)
        self.code = code


def say(*words):
    # One write per line: the server's threads share stdout.
    sys.stdout.write(' '.join(str(word) for word in words).replace('\n', ' ') + '\n')
    sys.stdout.flush()


def open_source(args):
    return X509Source(socket_path=args.socket, timeout_in_seconds=args.timeout)


def peer_id(conn):
    cert = conn.get_peer_certificate().to_cryptography()
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return SpiffeId(names.get_values_for_type(x509.UniformResourceIdentifier)[0])


def serve(args):
    """The server side: an X509Source that reloads the TLS context while it
    serves, and an authorizer that lets in one SPIFFE ID."""
    with open_source(args) as source:
        options = ListenOptions(
            tls_mode=ServerTlsMode.MTLS,
            authorize_fn=authorize_id(SpiffeId(args.peer_id)),
            backlog=64,
        )
        listener = listen(args.listen, source, options)
        say('LISTENING', '%s:%d' % listener.getsockname())
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=serve_connection, args=(conn,), daemon=True).start()


def serve_connection(conn):
    try:
        conn.do_handshake()
        say('PEER', peer_id(conn))
    except (SSL.Error, OSError) as err:
        say('REFUSED', repr(err))
        conn.close()
        return
    try:
        while data := conn.recv(4096):
            conn.sendall(data)
    except (SSL.Error, OSError):
        pass  # the client left
    finally:
        conn.close()


def echo(args, source):
    """Dials, sends a line and wants it back. With TLS 1.3 a server refuses a
    client after the client's handshake is over, so everything that fails between
    the TCP connection and the echo is a refusal."""
    try:
        conn = dial(
            args.connect, source, ClientTlsMode.TLS, authorize_id(SpiffeId(args.peer_id))
        )
    except TLSConnectionError as err:
        raise Failure(EXIT_REFUSED, f"REFUSED {err.context.get('reason')}") from err
    try:
        conn.sendall(LINE)
        got = b''
        while not got.endswith(b'\n'):
            got += conn.recv(4096)
        peer = peer_id(conn)
        conn.shutdown()
    except (SSL.Error, OSError) as err:
        raise Failure(EXIT_REFUSED, f'REFUSED {err!r}') from err
    finally:
        conn.close()
    if got != LINE:
        raise Failure(EXIT_ERROR, f'ERROR echo was {got!r}')
    return peer


def dial_once(args):
    """The client side, once."""
    with open_source(args) as source:
        say('OK', echo(args, source))


def hold(args):
    """No handshake ever fails while SVIDs and bundles rotate."""
    with open_source(args) as source:
        count, end = 0, time.monotonic() + args.seconds
        while time.monotonic() < end:
            try:
                echo(args, source)
            except (Failure, OSError, PySpiffeError) as err:
                raise Failure(EXIT_HOLD_FAILED, f'BROKEN after {count}: {err}') from err
            count += 1
            time.sleep(0.2)
        say('HELD', count)


def next_event(events, deadline):
    """The next event of the library's callbacks; an error that they got is raised."""
    try:
        event = events.get(timeout=max(0, deadline - time.monotonic()))
    except queue.Empty:
        raise Failure(EXIT_TIMEOUT, 'TIMEOUT waiting for an update') from None
    if isinstance(event, Exception):
        raise event
    return event


def rotate(args):
    """An open source sees each new SVID without asking again."""
    deadline = time.monotonic() + args.timeout
    with open_source(args) as source:
        events = queue.Queue()
        source.subscribe_for_updates(lambda: events.put('updated'))
        last, seen = None, 0
        while True:
            svid = source.get_x509_context().default_svid
            if svid.leaf.serial_number != last:
                last, seen = svid.leaf.serial_number, seen + 1
                not_after = svid.leaf.not_valid_after_utc.strftime('%Y-%m-%dT%H:%M:%SZ')
                say('SVID', svid.spiffe_id, f'{last:x}', not_after)
            if seen >= args.updates:
                return
            next_event(events, deadline)


def bundles(args):
    """Both kinds of bundles arrive at once and on change. The library watches
    X.509 bundles only inside the X.509 context; FetchX509Bundles, which it calls
    once at a time, must say the same."""
    deadline = time.monotonic() + args.timeout
    events = queue.Queue()
    with WorkloadApiClient(args.socket) as client:
        first = client.fetch_x509_bundles(timeout=args.timeout)
        client.stream_x509_contexts(
            lambda context: events.put(('X509-BUNDLE', context.x509_bundle_set)), events.put
        )
        client.stream_jwt_bundles(
            lambda bundle_set: events.put(('JWT-BUNDLE', bundle_set)), events.put
        )
        known, kinds, updates = {}, set(), 0
        while updates < args.updates or len(kinds) < 2:
            kind, bundle_set = next_event(events, deadline)
            if kind == 'X509-BUNDLE' and kind not in kinds and bundle_set.bundles != first.bundles:
                raise Failure(EXIT_ERROR, 'ERROR FetchX509Bundles and FetchX509SVID differ')
            kinds.add(kind)
            changed = [
                bundle
                for bundle in bundle_set.bundles
                if known.get((kind, bundle.trust_domain)) != bundle
            ]
            for bundle in changed:
                known[kind, bundle.trust_domain] = bundle
                authorities = (
                    bundle.x509_authorities if kind == 'X509-BUNDLE' else bundle.jwt_authorities
                )
                say(kind, bundle.trust_domain, len(authorities))
            updates += bool(changed)


def jwt(args):
    """A JWT-SVID proves itself twice: with the JWT bundles of the Workload API in
    this process, and to the Workload API. Both must refuse another audience."""
    subject = SpiffeId(args.spiffe_id) if args.spiffe_id else None
    with (
        WorkloadApiClient(args.socket, default_timeout=args.timeout) as client,
        JwtSource(client, timeout_in_seconds=args.timeout) as source,
    ):
        svid = source.fetch_svid({args.audience}, subject)
        bundle = source.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        checks = (
            lambda audience: JwtSvid.parse_and_validate(svid.token, bundle, {audience}),
            lambda audience: client.validate_jwt_svid(svid.token, audience),
        )
        ids = {check(args.audience).spiffe_id for check in checks}
        if ids != {svid.spiffe_id}:
            raise Failure(EXIT_ERROR, f'ERROR the validations disagree: {ids}')
        say('JWT', svid.spiffe_id, args.audience, 'VALID')
        for check in checks:
            try:
                check('not-' + args.audience)
            except PySpiffeError:
                continue
            raise Failure(EXIT_ERROR, 'ERROR a wrong audience was accepted')
        say('WRONG-AUDIENCE REFUSED')


def main():
    commands = {
        'serve': serve,
        'dial': dial_once,
        'hold': hold,
        'rotate': rotate,
        'jwt': jwt,
        'bundles': bundles,
    }
    parser = argparse.ArgumentParser(prog='client', description=__doc__)
    parser.add_argument('command', choices=commands)
    parser.add_argument('--socket', default=os.environ.get('SPIFFE_ENDPOINT_SOCKET'))
    parser.add_argument('--listen', default='127.0.0.1:0')
    parser.add_argument('--connect')
    parser.add_argument('--peer-id')
    parser.add_argument('--audience')
    parser.add_argument('--spiffe-id')
    parser.add_argument('--updates', type=int, default=2)
    parser.add_argument('--timeout', type=int, default=60)
    parser.add_argument('--seconds', type=int, default=10)
    args = parser.parse_args()
    logging.basicConfig(level=os.environ.get('LOG_LEVEL', 'CRITICAL'))
    try:
        commands[args.command](args)
    except Failure as failure:
        say(failure)
        return failure.code
    except (PySpiffeError, OSError) as err:
        if 'Timeout waiting' in str(err):  # the sources have no type of their own for it
            say('TIMEOUT', err)
            return EXIT_TIMEOUT
        print('ERROR', err, file=sys.stderr)
        return EXIT_ERROR
    return 0


if __name__ == '__main__':
    sys.exit(main())
