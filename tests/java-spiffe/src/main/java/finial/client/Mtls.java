package finial.client;

import static finial.client.Client.say;

import finial.client.Client.Failure;
import io.spiffe.provider.SpiffeSslContextFactory;
import io.spiffe.provider.SpiffeSslContextFactory.SslContextOptions;
import io.spiffe.spiffeid.SpiffeId;
import io.spiffe.workloadapi.X509Source;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

/** mTLS through the SPIFFE provider: an X.509 source that stays current under both ends. */
final class Mtls {
    private static final Integer URI_NAME = 6; // the type of a URI among the subject alternative names
    private static final String LINE = "hello from java-spiffe";

    /** The server side: lets in one SPIFFE ID, says who came and who was refused. */
    static void serve(Options options) throws Exception {
        ExecutorService threads = Executors.newCachedThreadPool();
        try (X509Source source = options.openX509Source();
                SSLServerSocket listener = (SSLServerSocket)
                        context(source, options).getServerSocketFactory().createServerSocket()) {
            listener.setNeedClientAuth(true);
            listener.bind(options.address("listen", "127.0.0.1:0"));
            say("LISTENING " + listener.getInetAddress().getHostAddress() + ":" + listener.getLocalPort());
            while (true) {
                SSLSocket socket = (SSLSocket) listener.accept();
                threads.submit(() -> serveConnection(socket));
            }
        }
    }

    private static void serveConnection(SSLSocket socket) {
        try (socket) {
            socket.setSoTimeout(30_000);
            try {
                socket.startHandshake();
                say("PEER " + peerId(socket));
            } catch (Exception error) {
                say("REFUSED " + Client.causes(error));
                return;
            }
            socket.getInputStream().transferTo(socket.getOutputStream());
        } catch (IOException left) {
            // the client is gone
        }
    }

    /** The client side, once. */
    static void dial(Options options) throws Exception {
        try (X509Source source = options.openX509Source()) {
            say("OK " + echo(options, context(source, options)));
        }
    }

    /** No handshake ever fails while SVIDs and bundles rotate. */
    static void hold(Options options) throws Exception {
        try (X509Source source = options.openX509Source()) {
            SSLContext context = context(source, options);
            int count = 0;
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(options.number("seconds", 10));
            while (System.nanoTime() < end) {
                try {
                    echo(options, context);
                } catch (Failure | IOException error) {
                    throw new Failure(Client.HOLD_FAILED, "BROKEN after " + count + ": " + error.getMessage());
                }
                count++;
                Thread.sleep(200);
            }
            say("HELD " + count);
        }
    }

    private static SSLContext context(X509Source source, Options options) throws Exception {
        Set<SpiffeId> accepted = Set.of(options.peerId());
        return SpiffeSslContextFactory.getSslContext(SslContextOptions.builder()
                .x509Source(source)
                .acceptedSpiffeIdsSupplier(() -> accepted)
                .build());
    }

    /**
     * Dials, sends a line and wants it back. With TLS 1.3 a server refuses a client after the
     * client's handshake is over, so everything that fails between the TCP connection and the echo
     * is a refusal.
     */
    private static SpiffeId echo(Options options, SSLContext context) throws Exception {
        InetSocketAddress address = options.address("connect", null);
        Socket tcp = new Socket(address.getAddress(), address.getPort());
        tcp.setSoTimeout(10_000);
        // Without a host name there is no resumed session, which would skip the certificates.
        try (SSLSocket tls = (SSLSocket) context.getSocketFactory().createSocket(tcp, null, address.getPort(), true)) {
            String got;
            SpiffeId peer;
            try {
                tls.startHandshake();
                tls.getOutputStream().write((LINE + "\n").getBytes(StandardCharsets.UTF_8));
                got = new BufferedReader(new InputStreamReader(tls.getInputStream(), StandardCharsets.UTF_8))
                        .readLine();
                peer = peerId(tls);
            } catch (Exception error) {
                throw new Failure(Client.REFUSED, "REFUSED " + Client.causes(error));
            }
            if (!LINE.equals(got)) {
                throw new Failure(Client.REFUSED, "REFUSED the echo was " + got);
            }
            return peer;
        }
    }

    private static SpiffeId peerId(SSLSocket socket) throws Exception {
        X509Certificate leaf = (X509Certificate) socket.getSession().getPeerCertificates()[0];
        for (List<?> name : leaf.getSubjectAlternativeNames()) {
            if (name.get(0).equals(URI_NAME)) {
                return SpiffeId.parse((String) name.get(1));
            }
        }
        throw new IllegalStateException("peer has no SPIFFE ID");
    }

    private Mtls() {}
}
