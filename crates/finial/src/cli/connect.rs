//! Where the other side is: sockets by flag, instance and environment, and channels to them.

use crate::flags::{Flag, Kind, Values, text};
use crate::output::Fault;
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use std::path::Path;
use tonic::transport::Channel;

/// Largest message that is taken from a server or an agent: as Go's default for what it receives.
pub(crate) const MESSAGE_MAX: usize = 4 << 20;

const SERVER_SOCKET: &str = "/tmp/spire-server/private/api.sock";
const AGENT_SOCKET: &str = "/tmp/spire-agent/public/api.sock";
const ADMIN_SOCKET: &str = "/tmp/spire-agent/private/admin.sock";
const SERVER_ENV: &str = "SPIRE_SERVER_PRIVATE_SOCKET";
const AGENT_ENV: &str = "SPIRE_AGENT_PUBLIC_SOCKET";

/// How to reach the server.
pub(crate) const SERVER_FLAGS: &[Flag] = &[
    socket(SERVER_SOCKET, "Path to the SPIRE Server API socket"),
    text(
        "instance",
        "Instance name to substitute into socket templates (env SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE).",
    ),
];

const AGENT_INSTANCE: Flag = text(
    "instance",
    "Instance name to substitute into socket templates (env SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE).",
);

/// How to reach the Workload API.
pub(crate) const WORKLOAD_FLAGS: &[Flag] =
    &[socket(AGENT_SOCKET, "Path to the SPIRE Agent API Unix domain socket"), AGENT_INSTANCE];

/// How to reach the Workload API, in the words of the health check.
pub(crate) const AGENT_HEALTH_FLAGS: &[Flag] =
    &[socket(AGENT_SOCKET, "Path to the SPIRE Agent API socket"), AGENT_INSTANCE];

/// How to reach the agent's admin socket.
pub(crate) const ADMIN_FLAGS: &[Flag] = &[socket(ADMIN_SOCKET, "Path to the SPIRE Agent admin API socket")];

const fn socket(path: &'static str, help: &'static str) -> Flag {
    Flag { name: "socketPath", kind: Kind::Text(path), help }
}

/// A channel to the server's private socket.
pub(crate) fn to_server(flags: &Values) -> Result<Channel, Fault> {
    let place = Place { default: SERVER_SOCKET, variable: SERVER_ENV };
    let path = place.resolve(flags, &environment, |template| {
        format!("you must define {template} to use the instance flag")
    })?;
    Ok(uri_channel(&path))
}

/// A channel to the agent's public socket.
pub(crate) fn to_agent(flags: &Values) -> Result<Channel, Fault> {
    let place = Place { default: AGENT_SOCKET, variable: AGENT_ENV };
    let path = place.resolve(flags, &environment, |template| {
        format!(" {template} environment variable must be defined when using the instance flag")
    })?;
    // An empty path is the folder that we are in, as in Go.
    let path = if path.is_empty() { ".".to_owned() } else { path };
    let path = std::path::absolute(Path::new(&path))
        .map_err(|error| Fault::of_file("unable to resolve", &path, &error))?;
    Ok(unix_channel(UnixTarget::new(path), &ChannelOptions::default()))
}

/// A channel to the agent's admin socket.
pub(crate) fn to_admin(flags: &Values) -> Channel {
    let path = flags.some_text("socketPath").unwrap_or(ADMIN_SOCKET);
    uri_channel(path)
}

/// Go takes these paths as the rest of a URI, and shows absolute ones so.
fn uri_channel(path: &str) -> Channel {
    let target = UnixTarget::new(path);
    let target = if path.starts_with('/') { target.shown_as_uri() } else { target };
    unix_channel(target, &ChannelOptions::default())
}

/// A socket that has a usual place, and variables that move it.
struct Place {
    default: &'static str,
    /// Names the socket; with `_TEMPLATE` after it, the template for instances.
    variable: &'static str,
}

impl Place {
    /// A path that was given wins over an instance, an instance over the variable.
    fn resolve(
        &self,
        flags: &Values,
        environment: &dyn Fn(&str) -> Option<String>,
        no_template: impl Fn(&str) -> String,
    ) -> Result<String, Fault> {
        let template_name = format!("{}_TEMPLATE", self.variable);
        let template = environment(&template_name).unwrap_or_default();
        let instance = flags.text("instance");
        if !instance.is_empty() {
            if template.is_empty() {
                return Err(Fault::new(no_template(&template_name)));
            }
            if !template.contains("%i") {
                return Err(Fault::new(format!("failed to find %i in {template_name}")));
            }
        }
        let given = flags.text("socketPath");
        Ok(if given != self.default {
            given.to_owned()
        } else if !instance.is_empty() {
            template.replace("%i", instance)
        } else {
            environment(self.variable).unwrap_or_else(|| self.default.to_owned())
        })
    }
}

/// A variable that is set and not empty.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{FlagSet, parse};

    const SET: FlagSet = FlagSet { name: "x", groups: &[SERVER_FLAGS] };

    fn resolve(words: &[&str], environment: &[(&str, &str)]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let place = Place { default: SERVER_SOCKET, variable: SERVER_ENV };
        let look_up = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        place
            .resolve(&parse(&SET, &words).unwrap(), &look_up, |name| format!("define {name}"))
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn precedence() {
        let base = ("SPIRE_SERVER_PRIVATE_SOCKET", "/base");
        let template = ("SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE", "/run/%i/a.sock");
        assert_eq!(resolve(&[], &[]), Ok(SERVER_SOCKET.to_owned()));
        assert_eq!(resolve(&[], &[base]), Ok("/base".to_owned()));
        assert_eq!(resolve(&["-instance", "x"], &[base, template]), Ok("/run/x/a.sock".to_owned()));
        assert_eq!(
            resolve(&["-instance", "x", "-socketPath", "/given"], &[base, template]),
            Ok("/given".to_owned())
        );
        assert_eq!(resolve(&["-socketPath", SERVER_SOCKET], &[base]), Ok("/base".to_owned()));
    }

    #[test]
    fn instance_needs_a_template() {
        assert_eq!(
            resolve(&["-instance", "x"], &[]),
            Err("define SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE".to_owned())
        );
        assert_eq!(
            resolve(&["-instance", "x"], &[("SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE", "/x")]),
            Err("failed to find %i in SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE".to_owned())
        );
    }
}
