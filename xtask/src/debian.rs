//! Debian packages that tests need, installed where that is possible.

use crate::run::{command, has, run};

/// Installs a Debian package if this is a Debian machine and we may.
pub(crate) fn install(package: &str) {
    if !has("apt-get") {
        return;
    }
    println!("{package} is missing and will be installed");
    let quiet = |arguments: &[&str]| {
        let mut apt = command("apt-get");
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut apt)
    };
    let installed = quiet(&["-q", "update"]).and_then(|()| quiet(&["-q", "-y", "install", package]));
    if let Err(error) = installed {
        println!("{package} could not be installed: {error}");
    }
}
