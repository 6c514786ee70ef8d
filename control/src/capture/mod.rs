//! Captures: expressions become programs, and what workers copy becomes files.
//!
//! Promises: a file is readable up to the last block that was written, whatever happens. Refuses: to make a worker wait.

pub mod blocks;
mod comment;
mod expression;
#[cfg(test)]
mod tests;

pub use comment::Commentator;
pub use expression::{ExpressionError, compile};
