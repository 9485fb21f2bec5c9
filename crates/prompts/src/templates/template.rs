//! What a template is.

use tidegate_domain::Timestamp;

use super::parameter::TemplateParameter;
use crate::executions::execution::words;

/// Longest name, in characters.
pub const MAX_NAME: usize = 255;
/// Longest description, in characters.
pub const MAX_DESCRIPTION: usize = 500;
/// Longest category, in characters.
pub const MAX_CATEGORY: usize = 100;
/// Longest URL of an icon, in characters.
pub const MAX_ICON: usize = 512;
/// Longest text, in characters.
pub const MAX_TEXT: usize = 20_000;

words! {
    /// Whether it is ready.
    TemplateStatus {
        /// Its creator alone can run it.
        Draft = "draft",
        /// All that see it can.
        Published = "published",
    }
}

/// A template.
#[derive(Clone, Debug)]
pub struct Template {
    /// The integer that is shown.
    pub number: i64,
    /// The organization's number; none for one that comes with the program.
    pub organization_number: Option<i64>,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// A question, or SQL, with placeholders.
    pub text: String,
    /// Its parameters.
    pub parameters: Vec<TemplateParameter>,
    /// For people.
    pub category: String,
    /// The client's own.
    pub tags: Vec<String>,
    /// A path or a URL.
    pub icon_url: Option<String>,
    /// Whether it is ready.
    pub status: TemplateStatus,
    /// Numbers of data sources that it is for; all when there is none.
    pub sources: Vec<i64>,
    /// Whether it comes with the program.
    pub is_system: bool,
    /// Whether the whole organization sees it.
    pub is_public: bool,
    /// How often it was run in the organization.
    pub usage_count: i64,
    /// The number of the account that made it.
    pub created_by: Option<i64>,
    /// Made.
    pub created_at: Timestamp,
    /// Changed.
    pub updated_at: Timestamp,
    /// Whether it is the caller's.
    pub(crate) is_own: bool,
}

/// A template to be made, and what one is changed to.
#[derive(Clone, Debug)]
pub struct NewTemplate {
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// A question, or SQL, with placeholders.
    pub text: String,
    /// Its parameters.
    pub parameters: Vec<TemplateParameter>,
    /// For people.
    pub category: String,
    /// The client's own.
    pub tags: Vec<String>,
    /// A path or a URL.
    pub icon_url: Option<String>,
    /// Whether it is ready.
    pub status: TemplateStatus,
    /// Numbers of data sources that it is for.
    pub sources: Vec<i64>,
    /// Whether the whole organization sees it.
    pub is_public: bool,
}
