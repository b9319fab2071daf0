//! Programs on an interface, whoever put them there.

use aya::programs::{SchedClassifier, loaded_programs, tc::TcAttachType};
use portreeve_common::Direction;

use super::DatapathError;

/// A program, by its number and the name that its maker gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub id: u32,
    /// Its name, if it has one.
    pub name: Option<String>,
}

/// What TCX runs there, first to last.
///
/// # Errors
/// The kernel does not say.
pub fn tcx(interface: &str, direction: Direction) -> Result<Vec<Known>, DatapathError> {
    let way = match direction {
        Direction::Ingress => TcAttachType::Ingress,
        Direction::Egress => TcAttachType::Egress,
    };
    let failed = |source| DatapathError::Program {
        doing: format!("cannot list the TCX programs on {interface}"),
        source: Box::new(source),
    };
    let (_revision, programs) = SchedClassifier::query_tcx(interface, way).map_err(failed)?;
    let known = |program: &aya::programs::ProgramInfo| Known {
        id: program.id(),
        name: program.name_as_str().map(str::to_owned),
    };
    Ok(programs.iter().map(known).collect())
}

/// The program of this number; without a name where the kernel does not tell it.
#[must_use]
pub fn program(id: u32) -> Known {
    let found = loaded_programs().flatten().find(|program| program.id() == id);
    Known { id, name: found.and_then(|program| program.name_as_str().map(str::to_owned)) }
}

impl std::fmt::Display for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, name } = self;
        write!(f, "program {id}")?;
        name.as_ref().map_or(Ok(()), |name| write!(f, " `{name}`"))
    }
}
