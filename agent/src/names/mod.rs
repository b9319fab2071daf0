//! Names of the policy while the agent runs: what the kernel can't see answered, the agent asks for by itself.

mod ask;
mod keep;
mod message;

pub use self::{
    ask::{Answer, ask},
    keep::{Due, Keeper},
    message::MessageError,
};
