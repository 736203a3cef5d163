//! Results of the agent's commands, for people.

pub(crate) mod debug;
pub(crate) mod jwt;
pub(crate) mod x509;

#[cfg(test)]
mod tests;
