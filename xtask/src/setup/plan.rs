//! The decision: from what a machine has to what is to be done, or to what its owner has to do.

use super::{
    linker::Linker,
    machine::{Machine, Nightly, Rights},
};

/// Debian's compiler and `core` for the kernel, and the LLVM that the linker is built against.
pub(super) const TOOLCHAIN: [&str; 6] =
    ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf", "llvm-22", "llvm-22-dev", "libpolly-22-dev"];

/// Packages that dpkg would remove for Debian's toolchain: setup removes nothing.
pub(super) const CONFLICTS: [&str; 2] = ["rustc", "rustup"];

/// The oldest of Debian's compilers that can build this workspace (`rust-version` in `Cargo.toml`).
const OLDEST: (u32, u32) = (1, 95);

/// How the kernel programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Debian's compiler and LLVM.
    Debian,
    /// rustup's nightly, which builds `core` itself.
    Nightly,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Install packages.
    Packages {
        /// Their names.
        names: Vec<&'static str>,
        /// Whether `sudo` is needed.
        sudo: bool,
    },
    /// Install the linker from source, against Debian's LLVM.
    DebianLinker,
    /// Install nightly with the sources of `core`.
    Nightly,
    /// Install the linker from source, with the LLVM of rustup's compiler.
    RustupLinker,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How the kernel programs will be built.
    pub(crate) way: Way,
    /// Nothing, if it can be done already.
    pub(crate) steps: Vec<Step>,
}

/// Why setup can't do it, in words that say what its user can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Impossible {
    /// Packages are missing, and only root may install them.
    NeedsRoot {
        /// Their names.
        packages: Vec<&'static str>,
    },
    /// Neither Debian's packages nor rustup.
    NoToolchain {
        /// Why Debian's packages won't do.
        why: String,
    },
    /// Programs are missing, and there is no apt to get them.
    Programs {
        /// Their names.
        programs: Vec<&'static str>,
    },
}

/// Decides. Packages come first, since the linker is built with them.
pub(super) fn decide(machine: &Machine) -> Result<Plan, Impossible> {
    let (way, mut packages, rest) = build(machine)?;
    if !machine.apt && !machine.missing.is_empty() {
        return Err(Impossible::Programs {
            programs: machine.missing.iter().map(|need| need.file).collect(),
        });
    }
    packages.extend(machine.missing.iter().map(|need| need.package));
    packages.sort_unstable();
    packages.dedup();
    if !packages.is_empty() && machine.rights == Rights::None {
        return Err(Impossible::NeedsRoot { packages });
    }
    let sudo = machine.rights == Rights::Sudo;
    let mut steps = Vec::new();
    if !packages.is_empty() {
        steps.push(Step::Packages { names: packages, sudo });
    }
    steps.extend(rest);
    Ok(Plan { way, steps })
}

type Build = (Way, Vec<&'static str>, Vec<Step>);

/// The way, the packages and the further steps that the build needs.
fn build(machine: &Machine) -> Result<Build, Impossible> {
    if machine.debian_ready() {
        return Ok((Way::Debian, Vec::new(), Vec::new()));
    }
    if machine.nightly_ready() {
        return Ok((Way::Nightly, Vec::new(), Vec::new()));
    }
    match (debian(machine), machine.nightly) {
        (Ok(build), _) => Ok(build),
        (Err(_), Nightly::Ready | Nightly::Incomplete) if !machine.debian_toolchain => Ok(nightly(machine)),
        (Err(impossible), Nightly::Ready | Nightly::Incomplete | Nightly::NoRustup) => Err(impossible),
    }
}

fn debian(machine: &Machine) -> Result<Build, Impossible> {
    let (compiler, llvm) = TOOLCHAIN.split_at(3);
    let mut packages = Vec::new();
    if !machine.debian_toolchain {
        packages.extend(compiler);
    }
    let linker = machine.linker != Linker::Debian;
    if linker && !machine.debian_llvm {
        packages.extend(llvm);
    }
    if !packages.is_empty() {
        available(machine, &packages)?;
    }
    let steps = if linker { vec![Step::DebianLinker] } else { Vec::new() };
    Ok((Way::Debian, packages, steps))
}

/// Whether these packages can be installed here.
fn available(machine: &Machine, packages: &[&'static str]) -> Result<(), Impossible> {
    let no = |why: String| Err(Impossible::NoToolchain { why });
    if !machine.apt {
        return no("this is not Debian or Ubuntu".into());
    }
    if !machine.conflicts.is_empty() {
        return no(format!(
            "the package {} would have to be removed for rustc-web",
            machine.conflicts.join(" and ")
        ));
    }
    if machine.rights == Rights::None {
        return Err(Impossible::NeedsRoot { packages: packages.to_vec() });
    }
    for package in packages {
        let Some(version) = machine.offers.get(*package) else {
            return no(format!("this release offers no package {package}"));
        };
        if *package == "rustc-web" && release(version) < Some(OLDEST) {
            return no(format!("rustc-web is {version}, older than {}.{}", OLDEST.0, OLDEST.1));
        }
    }
    Ok(())
}

fn nightly(machine: &Machine) -> Build {
    let mut steps = Vec::new();
    if machine.nightly != Nightly::Ready {
        steps.push(Step::Nightly);
    }
    if matches!(machine.linker, Linker::Missing | Linker::Broken) {
        steps.push(Step::RustupLinker);
    }
    (Way::Nightly, Vec::new(), steps)
}

/// `1.96.0+dfsg1-1~deb12u2` is 1.96.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '+', '-', '~']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{
        super::need::Purpose, Impossible, Linker, Machine, Nightly, Plan, Rights, Step, TOOLCHAIN, Way,
        decide,
    };

    /// A fresh Debian 12 on which we are root, with rustup's stable and nothing else.
    fn fresh() -> Machine {
        let offers = TOOLCHAIN.map(|package| (package.to_owned(), "1.96.0+dfsg1-1~deb12u2".to_owned()));
        Machine {
            apt: true,
            rights: Rights::Root,
            debian_toolchain: false,
            debian_llvm: false,
            conflicts: Vec::new(),
            offers: offers.into(),
            nightly: Nightly::Incomplete,
            linker: Linker::Missing,
            missing: Purpose::Bench.needs().into_iter().filter(|need| need.file == "nft").collect(),
        }
    }

    fn complete() -> Machine {
        let missing = [].into();
        Machine { debian_toolchain: true, debian_llvm: true, linker: Linker::Debian, missing, ..fresh() }
    }

    fn plan(way: Way, steps: impl Into<Vec<Step>>) -> Result<Plan, Impossible> {
        Ok(Plan { way, steps: steps.into() })
    }

    #[test]
    fn a_complete_machine_has_nothing_to_do() {
        assert_eq!(decide(&complete()), plan(Way::Debian, []));
        assert_eq!(
            decide(&Machine { rights: Rights::None, apt: false, ..complete() }),
            plan(Way::Debian, [])
        );
    }

    #[test]
    fn a_fresh_debian_gets_packages_then_the_linker() {
        let mut names: Vec<_> = TOOLCHAIN.into_iter().chain(["nftables"]).collect();
        names.sort_unstable();
        let packages = Step::Packages { names: names.clone(), sudo: false };
        assert_eq!(decide(&fresh()), plan(Way::Debian, [packages, Step::DebianLinker]));
        let by_sudo = Step::Packages { names, sudo: true };
        let machine = Machine { rights: Rights::Sudo, ..fresh() };
        assert_eq!(decide(&machine), plan(Way::Debian, [by_sudo, Step::DebianLinker]));
    }

    #[test]
    fn a_linker_that_lost_its_llvm_or_has_another_one_is_built_again() {
        for linker in [Linker::Missing, Linker::Broken, Linker::Other] {
            let machine = Machine { linker, ..complete() };
            assert_eq!(decide(&machine), plan(Way::Debian, [Step::DebianLinker]), "{linker:?}");
        }
    }

    #[test]
    fn without_root_rustup_does_it() {
        let machine = Machine { rights: Rights::None, missing: [].into(), ..fresh() };
        assert_eq!(decide(&machine), plan(Way::Nightly, [Step::Nightly, Step::RustupLinker]));
        let machine = Machine { nightly: Nightly::Ready, linker: Linker::Other, ..machine };
        assert_eq!(decide(&machine), plan(Way::Nightly, []));
    }

    #[test]
    fn without_root_and_rustup_the_packages_are_named() {
        let machine = Machine { rights: Rights::None, nightly: Nightly::NoRustup, ..fresh() };
        assert_eq!(decide(&machine), Err(Impossible::NeedsRoot { packages: TOOLCHAIN.into() }));
        let machine = Machine { rights: Rights::None, missing: fresh().missing, ..complete() };
        assert_eq!(decide(&machine), Err(Impossible::NeedsRoot { packages: vec!["nftables"] }));
    }

    #[test]
    fn nothing_is_removed_for_it() {
        let machine = Machine { conflicts: vec!["rustup"], missing: [].into(), ..fresh() };
        assert_eq!(decide(&machine), plan(Way::Nightly, [Step::Nightly, Step::RustupLinker]));
        let machine = Machine { nightly: Nightly::NoRustup, conflicts: vec!["rustc"], ..machine };
        let said = decide(&machine).unwrap_err().to_string();
        assert!(said.contains("the package rustc would have to be removed"), "{said}");
    }

    #[test]
    fn an_old_release_says_what_it_lacks() {
        let alone = Machine { nightly: Nightly::NoRustup, ..fresh() };
        let mut machine = alone.clone();
        machine.offers.remove("llvm-22");
        let said = decide(&machine).unwrap_err().to_string();
        assert!(said.contains("offers no package llvm-22"), "{said}");
        let mut machine = alone.clone();
        machine.offers.insert("rustc-web".into(), "1.85.0+dfsg3-1~deb12u3".into());
        let said = decide(&machine).unwrap_err().to_string();
        assert!(said.contains("rustc-web is 1.85.0+dfsg3-1~deb12u3, older than 1.95"), "{said}");
        let said = decide(&Machine { apt: false, ..alone }).unwrap_err().to_string();
        assert!(
            said.contains("this is not Debian or Ubuntu") && said.contains("https://rustup.rs"),
            "{said}"
        );
    }

    #[test]
    fn elsewhere_missing_programs_are_named() {
        let machine = Machine { apt: false, nightly: Nightly::Ready, linker: Linker::Other, ..fresh() };
        assert_eq!(decide(&machine), Err(Impossible::Programs { programs: vec!["nft"] }));
    }
}
