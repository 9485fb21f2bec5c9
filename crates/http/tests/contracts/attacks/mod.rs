//! What attackers try, and that it comes to nothing.

mod limits;
mod lockout;
mod traces;
