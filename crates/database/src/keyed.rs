//! Rows of long lists: their keys, and what else there is of them.

use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use uuid::Uuid;

use crate::{Result, StoreError};

/// A row of [`fetch_list!`](crate::fetch_list).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed<const N: usize, T> {
    /// Its first columns.
    pub keys: [Uuid; N],
    /// The others.
    pub rest: T,
}

impl<'r, R, T, const N: usize> FromRow<'r, R> for Keyed<N, T>
where
    R: Row,
    T: FromRow<'r, R>,
    usize: ColumnIndex<R>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let mut keys = [Uuid::nil(); N];
        for (at, key) in keys.iter_mut().enumerate() {
            *key = row.try_get(at)?;
        }
        Ok(Self { keys, rest: T::from_row(row)? })
    }
}

impl<const N: usize, T> Keyed<N, T> {
    /// The rows whose keys are the bytes of `keys`, one after the other.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when they are not as many.
    pub fn all(keys: &[u8], rows: Vec<T>) -> Result<Vec<Self>> {
        let (keys, over) = keys.as_chunks::<16>();
        if !over.is_empty() || keys.len() != rows.len() * N {
            return Err(StoreError::Unreadable("the keys of a list"));
        }
        let mut keys = keys.iter().map(|key| Uuid::from_bytes(*key));
        let rows = rows.into_iter().map(|rest| {
            let keys = std::array::from_fn(|_| keys.next().unwrap_or_default());
            Self { keys, rest }
        });
        Ok(rows.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_its_keys_and_none_has_anothers() {
        let keys: Vec<u8> = (0..4_u8).flat_map(|key| [key; 16]).collect();
        let key = |of: u8| Uuid::from_bytes([of; 16]);
        let rows = Keyed::all(&keys, vec!["a", "b"]).unwrap();
        assert_eq!(
            rows,
            [Keyed { keys: [key(0), key(1)], rest: "a" }, Keyed { keys: [key(2), key(3)], rest: "b" },]
        );
        assert!(Keyed::<2, &str>::all(&[], Vec::new()).unwrap().is_empty());
        for (bytes, rows) in
            [(64, vec!["a"]), (64, vec!["a", "b", "c"]), (63, vec!["a", "b"]), (0, vec!["a"])]
        {
            let all = Keyed::<2, &str>::all(&keys[..bytes], rows);
            assert!(matches!(all, Err(StoreError::Unreadable(_))), "{all:?}");
        }
    }
}
