package finial.client;

import java.util.Map;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.Logger;

/**
 * Proves that the official Java libraries work against a Workload API as it comes: sources,
 * watchers, mTLS with accepted SPIFFE IDs, rotation, and JWT-SVIDs checked here and by the
 * Workload API. ../README.md has the contract that all client programs share.
 */
public final class Client {
    static final int ERROR = 1;
    static final int USAGE = 2;
    static final int REFUSED = 3;
    static final int TIMED_OUT = 4;
    static final int HOLD_FAILED = 5;

    /** An outcome that has its own line on stdout and its own exit code. */
    static final class Failure extends Exception {
        final int code;

        Failure(int code, String line) {
            super(line);
            this.code = code;
        }
    }

    private interface Command {
        void run(Options options) throws Exception;
    }

    public static void main(String[] args) {
        if (System.getenv("LOG_LEVEL") == null) { // the libraries log to stderr through java.util.logging
            LogManager.getLogManager().reset();
            Logger.getLogger("").setLevel(Level.OFF);
        }
        Map<String, Command> commands = Map.of(
                "serve", Mtls::serve,
                "dial", Mtls::dial,
                "hold", Mtls::hold,
                "rotate", Watch::rotate,
                "bundles", Watch::bundles,
                "jwt", Jwt::jwt);
        Command command = args.length == 0 ? null : commands.get(args[0]);
        if (command == null) {
            System.err.println("usage: client serve|dial|hold|rotate|jwt|bundles --socket unix:///path …");
            System.exit(USAGE);
        }
        System.exit(run(command, args));
    }

    private static int run(Command command, String[] args) {
        try {
            command.run(new Options(args));
            return 0;
        } catch (Failure failure) {
            say(failure.getMessage());
            return failure.code;
        } catch (Exception error) {
            if (causes(error).contains("imeout")) { // the sources have no type of their own for it
                say("TIMEOUT " + causes(error));
                return TIMED_OUT;
            }
            System.err.println("ERROR " + causes(error));
            return ERROR;
        }
    }

    static void say(String line) {
        System.out.println(line.replace('\n', ' ')); // println flushes, and is one write per line
    }

    static String causes(Throwable error) {
        StringBuilder text = new StringBuilder(String.valueOf(error.getMessage()));
        for (Throwable cause = error.getCause(); cause != null; cause = cause.getCause()) {
            if (cause.getMessage() != null && text.indexOf(cause.getMessage()) < 0) {
                text.append(": ").append(cause.getMessage());
            }
        }
        return text.toString();
    }

    private Client() {}
}
