//! Phones and codes, as they come.

use serde::Deserialize;
use tidegate_domain::{PhoneNumber, PhoneRule};
use tidegate_identity::credentials::phone_code::PhonePurpose;
use tidegate_identity::sign_in::phone_sign_in::PhoneCode;
use tidegate_kernel::noted::{CredentialFault, refused};
use utoipa::ToSchema;

use crate::wire::fields::{Check, Field, Violations};
use crate::wire::typed::{self, TypedDigits};

/// How many digits a code may have: those of other providers differ.
pub(super) const CODE_DIGITS: std::ops::RangeInclusive<usize> = 4..=8;

/// A phone.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct PhoneBody {
    /// A mobile number, with or without its country code: `+254712345678`, `0712 345678`.
    #[schema(required = true, value_type = String, format = "phone", example = "+254712345678")]
    #[serde(default)]
    phone: Field<TypedDigits>,
}

/// A phone and the code that was texted to it.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct CodeBody {
    /// The phone the code was texted to.
    #[schema(required = true, value_type = String, format = "phone", example = "+254712345678")]
    #[serde(default)]
    phone: Field<TypedDigits>,
    /// 4 to 8 digits. Blanks and hyphens between them, digits of any script and a JSON number are understood.
    #[schema(required = true, value_type = String, format = "texted-code", example = "439559")]
    #[serde(default)]
    code: Field<TypedDigits>,
}

impl PhoneBody {
    pub(in super::super) fn read(self, rule: &PhoneRule) -> Result<PhoneNumber, Violations> {
        let mut check = Check::new();
        let phone = phone(&mut check, self.phone, rule);
        check.finish(phone)
    }
}

impl CodeBody {
    pub(in super::super) fn read(
        self,
        rule: &PhoneRule,
        purpose: PhonePurpose,
    ) -> Result<PhoneCode, Violations> {
        let mut check = Check::new();
        let phone = phone(&mut check, self.phone, rule);
        let code = typed::code(&mut check, "code", self.code, CODE_DIGITS, "must be 4 to 8 digits");
        check.finish(phone.zip(code).map(|(phone, code)| PhoneCode { phone, purpose, code }))
    }
}

fn phone(check: &mut Check, field: Field<TypedDigits>, rule: &PhoneRule) -> Option<PhoneNumber> {
    let text = check.required("phone", field)?.into_text();
    let read = rule.parse(&text);
    if read.is_err() && rule.is_of_another_country(&text) {
        refused(CredentialFault::Phone("of a country that phone.countries does not name"));
    }
    check.parsed("phone", read)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn code(body: serde_json::Value) -> Result<String, String> {
        let body: CodeBody = serde_json::from_str(&body.to_string()).unwrap();
        let read = body.read(&PhoneRule::default(), PhonePurpose::Register);
        read.map(|claim| format!("{} {}", claim.phone.expose(), claim.code.expose()))
            .map_err(|violations| violations.summary())
    }

    #[test]
    fn a_code_is_text_of_four_to_eight_digits_and_keeps_its_zeros() {
        let of = |code_text: &str| code(json!({ "phone": "0712 345 678", "code": code_text }));
        assert_eq!(of("042441"), Ok("+254712345678 042441".to_owned()));
        assert_eq!(of(" 4244 "), Ok("+254712345678 4244".to_owned()));
        assert_eq!(of("424-411\n"), Ok("+254712345678 424411".to_owned()));
        assert_eq!(of("424\u{661}"), Ok("+254712345678 4241".to_owned()));
        let numbers = json!({ "phone": 254_712_345_678_u64, "code": 42_441 });
        assert_eq!(code(numbers), Ok("+254712345678 042441".to_owned()));
        for wrong in ["", "424", "424411234", "42a4"] {
            assert_eq!(of(wrong), Err("code must be 4 to 8 digits".to_owned()), "{wrong}");
        }
        assert_eq!(
            code(json!({ "phone": true, "code": 4244.5 })).unwrap_err().matches("must be a string").count(),
            2
        );
        assert_eq!(code(json!({})).unwrap_err(), "phone is required; code is required");
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(phone in "\\PC{0,30}", code_text in "\\PC{0,12}") {
            drop(code(json!({ "phone": phone, "code": code_text })));
        }
    }
}
