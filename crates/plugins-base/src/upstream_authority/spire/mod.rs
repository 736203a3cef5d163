//! `spire`: another server of the same trust domain signs.
//!
//! This server shows it an SVID that it gets as a workload of an agent of that other server, whose entry says
//! that it is a downstream server. Nothing is kept between two mints: each opens a session of its own. Only who
//! follows the bundle keeps one.

mod session;

use crate::problem::{InvalidConfig, Problem};
use async_trait::async_trait;
use finial_identity::{Failure, JwtAuthority, TrustDomain};
use finial_plugin::upstream_authority::{BundleUpdates, MintedX509Ca, UpstreamAuthority, UpstreamBundle};
use finial_runtime::clock::Clock;
use finial_wire::channel::TcpTarget;
use finial_wire::tls::KeyExchange;
use futures_util::{StreamExt, stream};
use session::Session;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the bundle above is looked at.
const POLL_EVERY: Duration = Duration::from_secs(5);

/// The configuration of `spire`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpireUpstreamConfig {
    /// `server_address`: the host name or IP address of the server above.
    pub server_address: String,
    /// `server_port`: its port, a number.
    pub server_port: String,
    /// `workload_api_socket`: the Workload API of an agent of the server above.
    pub workload_api_socket: PathBuf,
    /// `require_pq_kem`: which key exchanges are taken.
    pub key_exchange: KeyExchange,
}

impl SpireUpstreamConfig {
    /// All that is wrong. Reads no files.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        let is_missing = [
            ("server_address", self.server_address.is_empty()),
            ("server_port", self.server_port.is_empty()),
            ("workload_api_socket", self.workload_api_socket.as_os_str().is_empty()),
        ];
        let missing = is_missing.into_iter().filter(|(_, is_missing)| *is_missing);
        let mut problems: Vec<Problem> =
            missing.map(|(key, _)| Problem::new(key, format!("{key} is required"))).collect();
        if !self.server_port.is_empty() && self.port().is_none() {
            let text =
                format!("server_port {:?} is not a port: it must be a number up to 65535", self.server_port);
            problems.push(Problem::new("server_port", text));
        }
        if let Some(port) = self.port()
            && !self.server_address.is_empty()
            && let Err(error) = TcpTarget::new(&self.server_address, port)
        {
            problems.push(Problem::new("server_address", format!("server_address {error}")));
        }
        problems
    }

    fn port(&self) -> Option<u16> {
        self.server_port.parse().ok().filter(|port| *port != 0)
    }

    fn target(&self) -> Option<TcpTarget> {
        TcpTarget::new(&self.server_address, self.port()?).ok()
    }
}

/// Where sessions are opened.
struct Place {
    target: TcpTarget,
    socket: PathBuf,
    trust_domain: TrustDomain,
    key_exchange: KeyExchange,
    clock: Arc<dyn Clock>,
}

/// Has another server sign.
pub struct SpireUpstream {
    place: Arc<Place>,
}

impl SpireUpstream {
    /// Connects to nobody yet.
    pub fn new(
        config: &SpireUpstreamConfig,
        trust_domain: TrustDomain,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidConfig> {
        InvalidConfig::unless_empty(config.validate())?;
        let wrong = || InvalidConfig(vec![Problem::new("server_address", "server_address is required")]);
        let place = Place {
            target: config.target().ok_or_else(wrong)?,
            socket: config.workload_api_socket.clone(),
            trust_domain,
            key_exchange: config.key_exchange,
            clock,
        };
        Ok(Self { place: Arc::new(place) })
    }
}

#[async_trait]
impl UpstreamAuthority for SpireUpstream {
    fn name(&self) -> &str {
        "spire"
    }

    async fn mint_x509_ca(&self, csr: &[u8], preferred_ttl: Duration) -> Result<MintedX509Ca, Failure> {
        let session = Session::open(&self.place).await?;
        let chain = session.new_downstream_x509_ca(csr, preferred_ttl).await?;
        // The answer has the roots, too, but does not say which are tainted.
        let roots = session.bundle().await?.x509_authorities;
        Ok(MintedX509Ca { chain, roots, updates: stream::empty().boxed() })
    }

    async fn publish_jwt_key(&self, key: &JwtAuthority) -> Result<Vec<JwtAuthority>, Failure> {
        Session::open(&self.place).await?.publish_jwt_authority(key).await
    }

    async fn follow_local_bundle(&self) -> Result<BundleUpdates, Failure> {
        let session = Session::open(&self.place).await?;
        let follower = Follower { session, last: None, clock: Arc::clone(&self.place.clock) };
        Ok(stream::unfold(Some(follower), Follower::next).boxed())
    }
}

/// Looks at the bundle above again and again.
struct Follower {
    session: Session,
    last: Option<UpstreamBundle>,
    clock: Arc<dyn Clock>,
}

impl Follower {
    /// The next state that differs from the last, or a failure. Without an SVID it ends: who follows asks again.
    async fn next(follower: Option<Self>) -> Option<(Result<UpstreamBundle, Failure>, Option<Self>)> {
        let mut follower = follower?;
        loop {
            if follower.last.is_some() && follower.wait().await.is_err() {
                return None;
            }
            match follower.session.bundle().await {
                Ok(bundle) if follower.last.as_ref() == Some(&bundle) => {}
                Ok(bundle) => {
                    follower.last = Some(bundle.clone());
                    return Some((Ok(bundle), Some(follower)));
                }
                Err(failure) => {
                    follower.session.reconnect();
                    follower.last.get_or_insert_default();
                    return Some((Err(failure), Some(follower)));
                }
            }
        }
    }

    /// Waits until it is time to look again, and meanwhile keeps the SVID fresh.
    async fn wait(&mut self) -> Result<(), Failure> {
        let clock = Arc::clone(&self.clock);
        let mut pause = std::pin::pin!(clock.sleep(POLL_EVERY));
        loop {
            tokio::select! {
                () = &mut pause => return Ok(()),
                renewed = self.session.renewed() => renewed?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_at_once() {
        let problems = |config: SpireUpstreamConfig| {
            let problems: Vec<String> = config.validate().iter().map(ToString::to_string).collect();
            problems.join("\n")
        };
        assert_eq!(
            problems(SpireUpstreamConfig::default()),
            "server_address: server_address is required\nserver_port: server_port is required\n\
             workload_api_socket: workload_api_socket is required"
        );
        let good = SpireUpstreamConfig {
            server_address: "root.example.org".to_owned(),
            server_port: "8081".to_owned(),
            workload_api_socket: "/run/api.sock".into(),
            ..SpireUpstreamConfig::default()
        };
        assert_eq!(problems(good.clone()), "");
        let port = SpireUpstreamConfig { server_port: "80810".to_owned(), ..good.clone() };
        assert_eq!(
            problems(port),
            "server_port: server_port \"80810\" is not a port: it must be a number up to 65535"
        );
        let host = SpireUpstreamConfig { server_address: "a b".to_owned(), ..good };
        assert_eq!(
            problems(host),
            "server_address: server_address \"a b\" is neither a host name nor an IP address"
        );
    }
}
