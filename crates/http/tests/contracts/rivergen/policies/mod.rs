//! Policies: section 4 of the platform's contract.

mod access;
mod assignments;
mod endpoints;
mod evaluations;
mod governed;
mod rules;
mod side_doors;
mod simulate;
mod slips;
mod wire;
