//! The commands of `finial` that are neither the server's nor the agent's.

/// A command that is neither the server's nor the agent's.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) name: &'static str,
    /// One line.
    pub(super) synopsis: &'static str,
    /// What may follow the name.
    pub(super) words: &'static str,
    /// What it does and prints.
    pub(super) about: &'static str,
    /// Command lines, with what they do.
    pub(super) examples: &'static [(&'static str, &'static str)],
}

/// All of them.
pub(super) const OWN: [Own; 3] = [
    Own {
        name: "demo",
        synopsis: "A server, an agent and a workload on this machine, explained step by step",
        words: "[--keep]",
        about: "Starts a server and an agent in a directory of their own, gives two workloads their identities, \
                lets them talk over mutual TLS, refuses a stranger, and rotates everything while the traffic \
                goes on. Each step is explained. Everything is ended and removed afterwards, unless `--keep` \
                is given: then it stays up until Ctrl-C, with hints what to try.",
        examples: &[("demo", "see it work, in seconds"), ("demo --keep", "and try things yourself")],
    },
    Own {
        name: "completion",
        synopsis: "A script that teaches a shell these commands: bash, zsh or fish",
        words: "bash|zsh|fish",
        about: "Prints a short script that completes commands, flags and known values by asking this program \
                what could come next, so that it never goes out of date.",
        examples: &[
            ("completion bash > /etc/bash_completion.d/finial", "for all users of bash"),
            ("completion zsh", "to be read with `source <(…)` in ~/.zshrc"),
        ],
    },
    Own {
        name: "help",
        synopsis: "This text, or that of a command: finial help server entry create",
        words: "[command …]",
        about: "Prints what a command or a group of commands is for, as `-h` behind it does.",
        examples: &[("help", "all commands"), ("help server entry create", "one command")],
    },
];
