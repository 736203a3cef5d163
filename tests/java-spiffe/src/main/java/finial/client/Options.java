package finial.client;

import io.spiffe.spiffeid.SpiffeId;
import io.spiffe.workloadapi.DefaultX509Source;
import io.spiffe.workloadapi.DefaultX509Source.X509SourceOptions;
import io.spiffe.workloadapi.DefaultWorkloadApiClient;
import io.spiffe.workloadapi.DefaultWorkloadApiClient.ClientOptions;
import io.spiffe.workloadapi.WorkloadApiClient;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/** The {@code --name value} pairs of the command line, and what is opened with them. */
final class Options {
    private final Map<String, String> values = new HashMap<>();

    Options(String[] args) {
        for (int i = 1; i < args.length; i += 2) {
            if (!args[i].startsWith("--") || i + 1 == args.length) {
                throw new IllegalArgumentException("expected --name value at " + args[i]);
            }
            values.put(args[i].substring(2), args[i + 1]);
        }
    }

    String find(String name) {
        return values.get(name);
    }

    String get(String name) {
        if (!values.containsKey(name)) {
            throw new IllegalArgumentException("--" + name + " is required");
        }
        return values.get(name);
    }

    long number(String name, long byDefault) {
        return values.containsKey(name) ? Long.parseLong(values.get(name)) : byDefault;
    }

    Duration timeout() {
        return Duration.ofSeconds(number("timeout", 60));
    }

    SpiffeId peerId() {
        return SpiffeId.parse(get("peer-id"));
    }

    InetSocketAddress address(String name, String byDefault) {
        String text = values.getOrDefault(name, byDefault);
        int colon = text.lastIndexOf(':');
        return new InetSocketAddress(text.substring(0, colon), Integer.parseInt(text.substring(colon + 1)));
    }

    /** Opens an X.509 source; the timeout only covers its first update. */
    DefaultX509Source openX509Source() throws Exception {
        return DefaultX509Source.newSource(X509SourceOptions.builder()
                .spiffeSocketPath(get("socket"))
                .initTimeout(timeout())
                .build());
    }

    WorkloadApiClient openClient() throws Exception {
        return DefaultWorkloadApiClient.newClient(
                ClientOptions.builder().spiffeSocketPath(get("socket")).build());
    }
}
