//! What a person is told of a query that has no answer, and what the columns of one that has are called.
//!
//! All of it is made of the person's own text, of names that they may see, and of closed lists of functions, operators and types. The
//! words of the engine decide at most which sentence it is: they may quote rows, and are never answered.

mod constant;
mod forms;
mod place;
mod planned;
mod title;
mod types;

pub(crate) use constant::{failing, told};
pub(crate) use forms::written;
pub(crate) use place::{unexpected, unreadable};
pub(crate) use planned::{Asked, explained};
pub(crate) use title::Titles;
