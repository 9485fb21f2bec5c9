//! Protections, by name, so that a test can take one away and see that the attacks then succeed. Outside of tests nothing is ever
//! taken away: the function that is asked is the constant `false`.

/// What holds values back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// The barrier around each relation.
    Barrier,
    /// The checker of plans.
    Checker,
    /// Only the policy's rows.
    RowFilter,
    /// Leak-proof: on columns that are not masked.
    UnmaskedOnly,
    /// Leak-proof: what is compared is a bare column.
    BareColumn,
    /// Leak-proof: what it is compared with is a value.
    LiteralOnly,
    /// Leak-proof: of the column's own type.
    SameType,
    /// Leak-proof: an operator that cannot fail.
    SafeOperator,
    /// The limit applies to visible rows.
    LimitAboveFilter,
    /// Dynamic filters are on unmasked columns.
    DynamicUnmasked,
    /// The first rows are chosen by unmasked columns.
    OrderUnmasked,
    /// Statistics do not cross.
    Statistics,
    /// Columns that leave have the values of their own rows alone.
    OwnValues,
}

/// Protections that are taken away.
#[cfg(test)]
pub(crate) type Mutations = std::sync::Arc<Vec<Protection>>;

/// Which protections a session is without.
#[derive(Clone, Debug, Default)]
pub(crate) struct Without {
    #[cfg(test)]
    pub(crate) these: Mutations,
}

impl Without {
    /// Whether this protection is taken away.
    #[cfg(not(test))]
    #[inline(always)]
    pub(crate) const fn is(&self, _: Protection) -> bool {
        false
    }

    /// Whether this protection is taken away.
    #[cfg(test)]
    pub(crate) fn is(&self, protection: Protection) -> bool {
        self.these.contains(&protection)
    }
}
