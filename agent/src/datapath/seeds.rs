//! Flows that live before the programs have seen a packet of them, put into the table by one that is asked and never
//! attached: it holds the lock of a set, and user space can't.

use aya::{Ebpf, TestRun as _, TestRunOptions, programs::Xdp};
use portreeve_common::seed::{Seed, outcome};

use super::{
    DatapathError, Pins,
    object::{self, Globals, Secret, Sets},
};

const NAME: &str = "plant";

/// The program.
pub struct Seeder {
    ebpf: Ebpf,
}

impl Seeder {
    /// Loads it over the maps of an instance.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn load(pins: &Pins, secret: Secret, sets: Sets) -> Result<Self, DatapathError> {
        let mut ebpf = object::load(&Globals::of_any(secret, sets), Some(pins))?;
        let program = ebpf.program_mut(NAME).ok_or(DatapathError::Missing(NAME))?;
        let failed = |error| DatapathError::program(NAME, "cannot load the program that seeds", error);
        let program: &mut Xdp = program.try_into().map_err(failed)?;
        program.load().map_err(failed)?;
        Ok(Self { ebpf })
    }

    /// Puts a flow into the established table, unless it lives there; `false` where there is no room.
    ///
    /// # Errors
    /// The kernel does not run the program.
    pub fn plant(&self, seed: Seed) -> Result<bool, DatapathError> {
        let failed = |error| DatapathError::program(NAME, "cannot seed a flow", error);
        let program = self.ebpf.program(NAME).ok_or(DatapathError::Missing(NAME))?;
        let program: &Xdp = program.try_into().map_err(failed)?;
        let bytes = seed.to_bytes();
        let options = TestRunOptions { data_in: Some(&bytes), ..TestRunOptions::default() };
        match program.test_run(options).map_err(failed)?.return_value {
            outcome::LIVES => Ok(true),
            outcome::FULL => Ok(false),
            _ => Err(DatapathError::Silent),
        }
    }
}
