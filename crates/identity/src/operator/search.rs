//! Lists in which an operator looks for a text. The database finds candidates, and the text is compared here: SQLite folds the case of
//! ASCII letters only, and a domain in another script is stored in ASCII.

use tidegate_database::Result;

use super::repository::{AccountFilter, AccountSummary, Installation, OrganizationSummary};

/// Text that is looked for: no pattern, and its case does not count.
pub(super) struct Sought(String);

impl Sought {
    /// What was typed. Nothing finds all.
    pub(super) fn new(typed: &str) -> Self {
        Self(typed.to_lowercase())
    }

    /// Whether `text` has it.
    pub(super) fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.0)
    }

    /// For a `like` with the escape character `!`, of text in which `lower` made at least the ASCII letters small: finds
    /// whatever [`is_in`](Self::is_in) finds, and more where the text has other letters, because SQLite leaves those as they are.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = String::from("%");
        for c in self.0.chars() {
            match c {
                '%' | '_' | '!' => pattern.extend(['!', c]),
                c if c.is_ascii() => pattern.push(c),
                _ => pattern.push('%'),
            }
        }
        pattern.push('%');
        pattern
    }
}

impl Installation<'_> {
    /// Up to `limit` accounts that are not deleted, numbers beyond `after`, in their order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn accounts(
        &mut self,
        filter: &AccountFilter,
        mut after: i64,
        limit: i64,
    ) -> Result<Vec<AccountSummary>> {
        let most = usize::try_from(limit).unwrap_or_default();
        let sought = Sought::new(&filter.search);
        let mut found = Vec::new();
        while found.len() < most {
            let candidates = self.account_candidates(filter, &sought, after, limit).await?;
            let is_last = candidates.len() < most;
            for candidate in candidates {
                after = candidate.number;
                if found.len() < most && self.is_sought(&candidate, &sought).await? {
                    found.push(candidate);
                }
            }
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// Up to `limit` organizations with `search` in their name, numbers beyond `after`, in their order; all members' own
    /// organizations, or only those with more than one member.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn organizations(
        &mut self,
        search: &str,
        shared_only: bool,
        mut after: i64,
        limit: i64,
    ) -> Result<Vec<OrganizationSummary>> {
        let most = usize::try_from(limit).unwrap_or_default();
        let sought = Sought::new(search);
        let mut found = Vec::new();
        while found.len() < most {
            let candidates = self.organization_candidates(&sought, shared_only, after, limit).await?;
            let is_last = candidates.len() < most;
            after = candidates.last().map_or(after, |last| last.number);
            let room = most.saturating_sub(found.len());
            found.extend(candidates.into_iter().filter(|one| sought.is_in(&one.name)).take(room));
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// Whether the account has the text in its name, or in an identifier as it is stored or as it is shown.
    async fn is_sought(&mut self, account: &AccountSummary, sought: &Sought) -> Result<bool> {
        if sought.is_in(&account.display_name) {
            return Ok(true);
        }
        let identifiers = self.identifiers(account.id).await?;
        Ok(identifiers.iter().any(|one| sought.is_in(&one.value) || sought.is_in(&one.shown())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_is_text_and_no_pattern() {
        assert_eq!(Sought::new("").pattern(), "%%");
        assert_eq!(Sought::new("Ada_100%!").pattern(), "%ada!_100!%!!%");
    }

    #[test]
    fn other_letters_are_left_to_the_comparison() {
        let sought = Sought::new("B\u{dc}cher");
        assert_eq!(sought.pattern(), "%b%cher%");
        assert!(sought.is_in("eve@b\u{fc}cher.example") && sought.is_in("B\u{dc}CHER"));
        assert!(!sought.is_in("bucher") && !sought.is_in("b-cher"));
    }
}
