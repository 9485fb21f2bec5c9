//! What is said about a brokerage account on its way to the broker and back.

pub use tidegate_broker::{
    Agreement, Application, Contact, Disclosures, Document, DocumentContent, Identity as Applicant,
    LocalStatus, Refusal,
};
