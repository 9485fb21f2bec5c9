//! What attackers try, and that it comes to nothing.

mod claims;
mod limits;
mod lockout;
mod traces;
mod unproven;
mod way_back;
