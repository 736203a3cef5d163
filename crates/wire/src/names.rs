//! Names of calls in metrics. Pure.

use crate::call_span::names;

/// The name under which calls are counted, for example `rpc.entry.v1.entry.list_entries`.
pub fn metric_name(path: &str) -> String {
    let (service, method) = names(path);
    let method = if method == "SubscribeToX509SVIDs" { "subscribe_to_x509_svids" } else { method };
    let parts = service.split('.').chain(std::iter::once(method)).map(snake_case);
    parts.fold("rpc".to_owned(), |name, part| name + "." + &part)
}

/// SPIRE's snake case, in which `MintX509SVID` is `mint_x509svid`.
fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let is_lower = |at: usize| letters.get(at).is_some_and(|letter| letter.is_lowercase());
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            snake.push('_');
            continue;
        }
        let is_inside = at > 0 && at + 1 < letters.len();
        let begins_word = letter.is_uppercase() && is_inside && (is_lower(at + 1) || is_lower(at - 1));
        if begins_word && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spires() {
        for (path, want) in [
            ("/spire.api.server.agent.v1.Agent/BanAgent", "rpc.agent.v1.agent.ban_agent"),
            ("/spire.api.server.svid.v1.SVID/MintX509SVID", "rpc.svid.v1.svid.mint_x509svid"),
            ("/spire.api.server.svid.v1.SVID/MintJWTSVID", "rpc.svid.v1.svid.mint_jwtsvid"),
            ("/spire.api.server.svid.v1.SVID/BatchNewX509SVID", "rpc.svid.v1.svid.batch_new_x509svid"),
            ("/spire.api.server.logger.v1.Logger/GetLogger", "rpc.logger.get_logger"),
            ("/grpc.health.v1.Health/Check", "rpc.health.check"),
            ("/SpiffeWorkloadAPI/FetchX509SVID", "rpc.workload_api.fetch_x509svid"),
            ("/SpiffeWorkloadAPI/FetchJWTBundles", "rpc.workload_api.fetch_jwt_bundles"),
            ("nonsense", "rpc.nonsense."),
        ] {
            assert_eq!(metric_name(path), want, "{path}");
        }
    }
}
