//! Prelogin and LOGIN7.

use zeroize::Zeroizing;

use crate::wire::Bytes;

/// What is said about encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// Signing in only; what the rest would be is decided by the other side.
    Off = 0,
    On = 1,
    NotSupported = 2,
    Required = 3,
}

/// The client's prelogin: version, encryption, no several results at once, and that it signs in by a token if it does.
pub(super) fn prelogin(encryption: Encryption, by_token: bool) -> Vec<u8> {
    let version: [u8; 6] = [0, 0, 0, 1, 0, 0];
    let mut options: Vec<(u8, &[u8])> = vec![(0, &version[..])];
    let encryption = [encryption as u8];
    options.push((1, &encryption[..]));
    options.push((4, &[0][..]));
    if by_token {
        options.push((6, &[1][..]));
    }
    let mut message = Vec::new();
    let mut data: Vec<u8> = Vec::new();
    let start = options.len() * 5 + 1;
    for (name, value) in options {
        message.push(name);
        message.extend(u16::try_from(start + data.len()).unwrap_or_default().to_be_bytes());
        message.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        data.extend(value);
    }
    message.push(0xFF);
    message.extend(data);
    message
}

/// What the server says about encryption, and whether it wants the token's nonce, which it sends, repeated.
pub(super) fn answered(message: &[u8]) -> Option<(Encryption, Option<[u8; 32]>)> {
    let mut list = Bytes(message);
    let mut encryption = None;
    let mut nonce = None;
    loop {
        let name = list.u8()?;
        if name == 0xFF {
            return Some((encryption?, nonce));
        }
        let from = usize::from(list.u16_be()?);
        let length = usize::from(list.u16_be()?);
        let value = message.get(from..from.checked_add(length)?)?;
        match (name, value) {
            (1, [0]) => encryption = Some(Encryption::Off),
            (1, [1]) => encryption = Some(Encryption::On),
            (1, [2]) => encryption = Some(Encryption::NotSupported),
            (1, [3]) => encryption = Some(Encryption::Required),
            (7, value) => nonce = value.try_into().ok(),
            _ => {}
        }
    }
}

/// Who signs in.
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    /// In place of user and password.
    pub(super) token: Option<&'a str>,
    pub(super) nonce: Option<[u8; 32]>,
    pub(super) server: &'a str,
    pub(super) database: &'a str,
    pub(super) read_only: bool,
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The message that signs in, TDS 7.4.
pub(super) fn login7(login: &Login<'_>) -> Zeroizing<Vec<u8>> {
    let mut message = vec![0; 4];
    message.extend(0x7400_0004_u32.to_le_bytes());
    message.extend(32_767_u32.to_le_bytes());
    message.extend([0; 12]);
    // Wrong databases end the login, ANSI defaults hold; whether a replica that only reads will do; extensions follow.
    let extended = if login.token.is_some() { 0x10 } else { 0 };
    message.extend([0xE0, 0x03, if login.read_only { 0x20 } else { 0 }, extended]);
    message.extend([0; 8]);
    let mut data = Zeroizing::new(Vec::new());
    let mut place = |message: &mut Vec<u8>, bytes: &[u8], units: usize| {
        message.extend(u16::try_from(94 + data.len()).unwrap_or(u16::MAX).to_le_bytes());
        message.extend(u16::try_from(units).unwrap_or(u16::MAX).to_le_bytes());
        data.extend(bytes);
    };
    let mut text = |message: &mut Vec<u8>, text: &str, hidden: bool| {
        let mut bytes = Zeroizing::new(utf16(text));
        if hidden {
            bytes.iter_mut().for_each(|byte| *byte = byte.rotate_left(4) ^ 0xA5);
        }
        place(message, &bytes, bytes.len() / 2);
    };
    let by_password = login.token.is_none();
    text(&mut message, "tidegate", false);
    text(&mut message, if by_password { login.user } else { "" }, false);
    text(&mut message, if by_password { login.password } else { "" }, true);
    text(&mut message, "tidegate", false);
    text(&mut message, login.server, false);
    // The place of the extensions is behind everything else, and known when that is.
    let extension = message.len();
    text(&mut message, "", false);
    text(&mut message, "tidegate", false);
    text(&mut message, "", false);
    text(&mut message, login.database, false);
    message.extend([0; 6]);
    for _ in 0..3 {
        text(&mut message, "", false);
    }
    message.extend([0; 4]);
    message.extend(data.iter());
    if let Some(token) = login.token {
        let at = message.len();
        let place = u16::try_from(at).unwrap_or(u16::MAX).to_le_bytes();
        if let Some(slot) = message.get_mut(extension..extension + 4) {
            slot.copy_from_slice(&[place[0], place[1], 4, 0]);
        }
        message.extend(u32::try_from(at + 4).unwrap_or(u32::MAX).to_le_bytes());
        message.extend(federated(token, login.nonce).iter());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    if let Some(slot) = message.get_mut(..4) {
        slot.copy_from_slice(&length.to_le_bytes());
    }
    Zeroizing::new(message)
}

/// The extension that carries a token of Entra ID.
fn federated(token: &str, nonce: Option<[u8; 32]>) -> Zeroizing<Vec<u8>> {
    let token = Zeroizing::new(utf16(token));
    let mut data = Zeroizing::new(vec![0x01 << 1 | 0x01]);
    data.extend(u32::try_from(token.len()).unwrap_or(u32::MAX).to_le_bytes());
    data.extend(token.iter());
    data.extend(nonce.iter().flatten());
    let mut all = Zeroizing::new(vec![0x02]);
    all.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    all.extend(data.iter());
    all.push(0xFF);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_scrambled_where_the_protocol_says() {
        let login = Login {
            user: "sa",
            password: "a",
            token: None,
            nonce: None,
            server: "s",
            database: "d",
            read_only: false,
        };
        let message = login7(&login);
        assert_eq!(u32::from_le_bytes(message[..4].try_into().unwrap()) as usize, message.len());
        let place = |at: usize| {
            let from = usize::from(u16::from_le_bytes([message[at], message[at + 1]]));
            let length = usize::from(u16::from_le_bytes([message[at + 2], message[at + 3]]));
            &message[from..from + length * 2]
        };
        assert_eq!(place(40), b"s\0a\0");
        assert_eq!(place(44), [0x16 ^ 0xA5, 0xA5]);
        assert_eq!(place(68), b"d\0");
    }

    #[test]
    fn a_token_stands_in_an_extension() {
        let login = Login {
            user: "",
            password: "",
            token: Some("tok"),
            nonce: Some([9; 32]),
            server: "s",
            database: "d",
            read_only: true,
        };
        let message = login7(&login);
        let at = usize::from(u16::from_le_bytes([message[56], message[57]]));
        let block = u32::from_le_bytes(message[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!(&message[block..block + 6], [2, 43, 0, 0, 0, 3]);
        assert_eq!(message.last(), Some(&0xFF));
        assert_eq!((message[26], message[27]), (0x20, 0x10));
    }

    #[test]
    fn prelogins_are_read_back() {
        let message = prelogin(Encryption::On, true);
        assert_eq!(answered(&message).unwrap(), (Encryption::On, None));
        assert!(answered(&message[..7]).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_prelogin_is_a_panic(bytes: Vec<u8>) {
            let _ = answered(&bytes);
        }
    }
}
