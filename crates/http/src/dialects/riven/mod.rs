//! The Riven contract: sign-in by phone and the opening of brokerage accounts.
#![cfg_attr(not(test), expect(dead_code, reason = "the routes that read these requests are not there yet"))]

mod requests;
