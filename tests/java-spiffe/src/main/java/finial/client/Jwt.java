package finial.client;

import static finial.client.Client.say;

import io.spiffe.exception.JwtSvidException;
import io.spiffe.spiffeid.SpiffeId;
import io.spiffe.svid.jwtsvid.JwtSvid;
import io.spiffe.workloadapi.DefaultJwtSource;
import io.spiffe.workloadapi.JwtSource;
import io.spiffe.workloadapi.JwtSourceOptions;
import io.spiffe.workloadapi.WorkloadApiClient;
import java.util.Set;

/**
 * A JWT-SVID proves itself twice: with the JWT bundles of the Workload API in this process, and to
 * the Workload API. Both must refuse another audience.
 */
final class Jwt {
    private interface Check {
        JwtSvid validate(String audience) throws Exception;
    }

    static void jwt(Options options) throws Exception {
        String audience = options.get("audience");
        try (WorkloadApiClient client = options.openClient();
                JwtSource source = DefaultJwtSource.newSource(JwtSourceOptions.builder()
                        .workloadApiClient(client)
                        .initTimeout(options.timeout())
                        .build())) {
            String token = (options.find("spiffe-id") == null
                            ? source.fetchJwtSvid(audience)
                            : source.fetchJwtSvid(SpiffeId.parse(options.find("spiffe-id")), audience))
                    .getToken();
            Check local = wanted -> JwtSvid.parseAndValidate(token, source, Set.of(wanted));
            Check remote = wanted -> client.validateJwtSvid(token, wanted);

            SpiffeId id = local.validate(audience).getSpiffeId();
            if (!id.equals(remote.validate(audience).getSpiffeId())) {
                throw new IllegalStateException("the validations disagree");
            }
            say("JWT " + id + " " + audience + " VALID");

            mustRefuse(local, "not-" + audience);
            mustRefuse(remote, "not-" + audience);
            say("WRONG-AUDIENCE REFUSED");
        }
    }

    private static void mustRefuse(Check check, String audience) throws Exception {
        try {
            check.validate(audience);
        } catch (JwtSvidException expected) {
            return;
        }
        throw new IllegalStateException("a wrong audience was accepted");
    }

    private Jwt() {}
}
