package finial.client;

import static finial.client.Client.say;

import finial.client.Client.Failure;
import io.spiffe.bundle.jwtbundle.JwtBundleSet;
import io.spiffe.bundle.x509bundle.X509BundleSet;
import io.spiffe.svid.x509svid.X509Svid;
import io.spiffe.workloadapi.Watcher;
import io.spiffe.workloadapi.WorkloadApiClient;
import io.spiffe.workloadapi.X509Context;
import java.math.BigInteger;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** What changes while a program runs: SVIDs and bundles. */
final class Watch {
    /** An open watch sees each new SVID without asking again. */
    static void rotate(Options options) throws Exception {
        long end = System.nanoTime() + options.timeout().toNanos();
        BlockingQueue<Object> events = new LinkedBlockingQueue<>();
        try (WorkloadApiClient client = options.openClient()) {
            client.watchX509Context(new Queued<X509Context>(events));
            BigInteger last = null;
            for (long seen = 0; seen < options.number("updates", 2); ) {
                X509Svid svid = ((X509Context) next(events, end)).getDefaultSvid();
                BigInteger serial = svid.getLeaf().getSerialNumber();
                if (!serial.equals(last)) {
                    last = serial;
                    seen++;
                    say("SVID " + svid.getSpiffeId() + " " + serial.toString(16) + " "
                            + svid.getLeaf().getNotAfter().toInstant());
                }
            }
        }
    }

    /** Both bundle streams deliver at once and on change. */
    static void bundles(Options options) throws Exception {
        long end = System.nanoTime() + options.timeout().toNanos();
        long wanted = options.number("updates", 2);
        BlockingQueue<Object> events = new LinkedBlockingQueue<>();
        try (WorkloadApiClient client = options.openClient()) {
            client.watchX509Bundles(new Queued<X509BundleSet>(events));
            client.watchJwtBundles(new Queued<JwtBundleSet>(events));
            Map<String, Collection<?>> known = new HashMap<>(); // what was printed last
            Set<Class<?>> kinds = new HashSet<>();
            long updates = 0;
            while (updates < wanted || kinds.size() < 2) {
                Object event = next(events, end);
                kinds.add(event.getClass());
                Map<String, Collection<?>> now = new HashMap<>();
                if (event instanceof X509BundleSet set) {
                    set.getBundles().forEach((td, bundle) ->
                            now.put("X509-BUNDLE " + td, bundle.getX509Authorities()));
                } else if (event instanceof JwtBundleSet set) {
                    set.getBundles().forEach((td, bundle) ->
                            now.put("JWT-BUNDLE " + td, bundle.getJwtAuthorities().keySet()));
                }
                boolean changed = false;
                for (Map.Entry<String, Collection<?>> bundle : now.entrySet()) {
                    if (!bundle.getValue().equals(known.put(bundle.getKey(), bundle.getValue()))) {
                        say(bundle.getKey() + " " + bundle.getValue().size());
                        changed = true;
                    }
                }
                if (changed) {
                    updates++;
                }
            }
        }
    }

    private static Object next(BlockingQueue<Object> events, long end) throws Exception {
        Object event = events.poll(Math.max(0, end - System.nanoTime()), TimeUnit.NANOSECONDS);
        if (event == null) {
            throw new Failure(Client.TIMED_OUT, "TIMEOUT waiting for an update");
        }
        if (event instanceof Throwable error) {
            throw new Exception("watch failed", error);
        }
        return event;
    }

    /** Hands what the library's callbacks bring to the one loop that waits for it. */
    private record Queued<T>(BlockingQueue<Object> events) implements Watcher<T> {
        @Override
        public void onUpdate(T update) {
            events.add(update);
        }

        @Override
        public void onError(Throwable error) {
            events.add(error);
        }
    }

    private Watch() {}
}
