//! Response bodies.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use tidegate_domain::Timestamp;
use tidegate_domain::factor::{FactorKind, RecoveryCode};
use tidegate_identity::credentials::factors::repository::Factor;
use tidegate_identity::credentials::factors::status::FactorStatus;
use tidegate_identity::credentials::totp::set_up::TotpSetUp;
use tidegate_identity::credentials::trusted_device::recognize::OfferedDevice;
use tidegate_identity::credentials::trusted_device::repository::TrustedDevice;
use tidegate_identity::sign_in::second_factor::{FactorOutcome, FactorRequest, FactorShown};
use utoipa::ToSchema;

use super::super::responses::{FullLoginData, envelope};

fn at(instant: Timestamp) -> String {
    instant.iso_seconds()
}

fn shown(codes: &[RecoveryCode]) -> Vec<String> {
    codes.iter().map(RecoveryCode::shown).collect()
}

/// A sign-in that must go on with the second factor.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct MfaRequiredData {
    /// Names the sign-in; lives 10 minutes.
    temporary_token: String,
    /// Always `true`.
    mfa_required: bool,
    /// What the account can show: `totp`, `email_otp`, `sms_otp`, `backup_code`.
    available_methods: Vec<&'static str>,
    message: String,
}

impl MfaRequiredData {
    pub(in super::super) fn new(request: &FactorRequest, message: &str) -> Self {
        let methods = request.kinds.iter().map(|kind| kind.as_str());
        let backup = request.has_recovery_codes.then_some("backup_code");
        Self {
            temporary_token: request.temporary_token.expose().to_owned(),
            mfa_required: true,
            available_methods: methods.chain(backup).collect(),
            message: message.to_owned(),
        }
    }
}

/// A method was chosen.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct OtpGeneratedData {
    /// Replaces the one sent.
    pub(super) temporary_token: String,
    pub(super) message: String,
}

/// A sign-in with a second factor.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct MfaVerifiedData {
    #[serde(flatten)]
    login: FullLoginData,
    /// To be activated or skipped; `null` where the device is trusted already.
    trusted_device: Option<OfferedDeviceData>,
}

#[derive(Serialize, ToSchema)]
struct OfferedDeviceData {
    id: i64,
    device_name: String,
    /// Lives 5 minutes.
    activation_token: String,
    expires_at: String,
    /// Always `false`.
    is_active: bool,
}

impl From<&OfferedDevice> for OfferedDeviceData {
    fn from(device: &OfferedDevice) -> Self {
        Self {
            id: device.number,
            device_name: device.name.clone(),
            activation_token: device.activation_token.expose().to_owned(),
            expires_at: at(device.expires_at),
            is_active: false,
        }
    }
}

impl From<&FactorShown> for MfaVerifiedData {
    fn from(factor: &FactorShown) -> Self {
        Self {
            login: (&factor.signed_in).into(),
            trusted_device: factor.device.as_ref().map(OfferedDeviceData::from),
        }
    }
}

/// A sign-in, or what is still to be shown: branch on `access_token` and `mfa_required`.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(in super::super) enum MfaAnswerData {
    /// They are in.
    Verified(MfaVerifiedData),
    /// The code that connects a provider was right, and the account has a second factor. Extension of the contract.
    Another(MfaRequiredData),
}

impl MfaAnswerData {
    pub(super) fn respond(outcome: &FactorOutcome) -> Response {
        match outcome {
            FactorOutcome::SignedIn(shown) => {
                envelope(StatusCode::OK, Self::Verified(shown.as_ref().into()), "Signed in.")
            }
            FactorOutcome::Another(request) => {
                let message = request_message(request);
                envelope(StatusCode::OK, Self::Another(MfaRequiredData::new(request, message)), message)
            }
        }
    }
}

/// What to do next, for people.
pub(in super::super) const fn request_message(request: &FactorRequest) -> &'static str {
    if request.is_mailbox {
        "An account has this e-mail address. Have a code mailed to it (email_otp), and send the code to connect this sign-in."
    } else {
        "Show your second factor to go on."
    }
}

/// Methods were removed.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct DeactivatedData {
    deactivated_methods: Vec<&'static str>,
    message: String,
}

impl DeactivatedData {
    pub(super) fn respond(kinds: &[FactorKind]) -> Response {
        const MESSAGE: &str = "Second factors deactivated.";
        let deactivated_methods = kinds.iter().map(|kind| kind.as_str()).collect();
        envelope(StatusCode::OK, Self { deactivated_methods, message: MESSAGE.to_owned() }, MESSAGE)
    }
}

/// What an authenticator app needs.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct TotpSetUpData {
    /// Base32.
    secret: String,
    /// A PNG picture as a `data:` URI.
    qr_code: String,
    /// The same as `secret`.
    manual_entry_key: String,
    device_name: String,
    /// They count from the verification on.
    backup_codes: Vec<String>,
}

impl TotpSetUpData {
    pub(super) fn new(set_up: &TotpSetUp, qr_code: String) -> Self {
        let secret = set_up.seed.expose().to_owned();
        Self {
            manual_entry_key: secret.clone(),
            secret,
            qr_code,
            device_name: set_up.name.clone(),
            backup_codes: shown(&set_up.recovery_codes),
        }
    }
}

/// A method is verified.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct FactorVerifiedData {
    /// Always `true`.
    success: bool,
    /// Shown this once. They replace earlier ones.
    backup_codes: Vec<String>,
    message: String,
}

impl FactorVerifiedData {
    pub(super) fn respond(codes: &[RecoveryCode]) -> Response {
        const MESSAGE: &str = "Second factor enabled. Keep the backup codes in a safe place.";
        let data = Self { success: true, backup_codes: shown(codes), message: MESSAGE.to_owned() };
        envelope(StatusCode::OK, data, MESSAGE)
    }
}

/// New backup codes.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct BackupCodesData {
    /// Shown this once. They replace earlier ones.
    backup_codes: Vec<String>,
    message: String,
}

impl BackupCodesData {
    pub(super) fn respond(codes: &[RecoveryCode]) -> Response {
        const MESSAGE: &str = "Backup codes made. Earlier ones no longer count.";
        envelope(StatusCode::OK, Self { backup_codes: shown(codes), message: MESSAGE.to_owned() }, MESSAGE)
    }
}

/// How many backup codes there are.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct BackupCodeCountData {
    total: i64,
    remaining: i64,
    generated_at: Option<String>,
}

impl From<&FactorStatus> for BackupCodeCountData {
    fn from(status: &FactorStatus) -> Self {
        let codes = status.recovery_codes;
        Self { total: codes.total, remaining: codes.remaining, generated_at: codes.made_at.map(at) }
    }
}

/// A backup code was accepted.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct BackupCodeVerifiedData {
    /// Always `true`.
    pub(super) success: bool,
    pub(super) remaining: usize,
    pub(super) message: String,
}

/// A code was sent.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct OtpSentData {
    pub(super) message: String,
    /// Always `true`.
    pub(super) otp_sent: bool,
}

impl OtpSentData {
    pub(super) fn respond() -> Response {
        const MESSAGE: &str = "A code was sent.";
        envelope(StatusCode::OK, Self { message: MESSAGE.to_owned(), otp_sent: true }, MESSAGE)
    }
}

/// The caller proved anew who they are.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct SteppedUpData {
    /// When, ISO 8601 UTC.
    authenticated_at: String,
    message: String,
}

impl SteppedUpData {
    pub(super) fn respond(authenticated: Timestamp) -> Response {
        const MESSAGE: &str = "You can go on.";
        let data = Self { authenticated_at: at(authenticated), message: MESSAGE.to_owned() };
        envelope(StatusCode::OK, data, MESSAGE)
    }
}

/// The account's authenticator apps.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct TotpDevicesData {
    devices: Vec<TotpDeviceData>,
    total_count: usize,
}

#[derive(Serialize, ToSchema)]
struct TotpDeviceData {
    id: i64,
    device_name: String,
    /// Always `totp`.
    #[serde(rename = "type")]
    kind: &'static str,
    created_at: String,
    last_used_at: Option<String>,
    is_primary: bool,
    /// Always `true`.
    verified: bool,
}

impl From<&FactorStatus> for TotpDevicesData {
    fn from(status: &FactorStatus) -> Self {
        let apps = status.factors.iter().filter(|factor| factor.kind == FactorKind::Totp);
        let devices: Vec<TotpDeviceData> = apps
            .map(|app| TotpDeviceData {
                id: app.number,
                device_name: app.name.clone(),
                kind: app.kind.as_str(),
                created_at: at(app.created_at),
                last_used_at: app.last_used_at.map(at),
                is_primary: app.is_primary,
                verified: true,
            })
            .collect();
        Self { total_count: devices.len(), devices }
    }
}

/// The account's second factors.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct MfaStatusData {
    mfa_enabled: bool,
    methods: Vec<MethodData>,
    totp_enabled: bool,
    email_otp_enabled: bool,
    sms_otp_enabled: bool,
    totp_devices_count: usize,
    backup_codes_remaining: i64,
}

#[derive(Serialize, ToSchema)]
struct MethodData {
    #[serde(rename = "type")]
    kind: &'static str,
    device_name: Option<String>,
    is_primary: bool,
    /// Always `true`.
    verified: bool,
    last_used_at: Option<String>,
}

impl From<&FactorStatus> for MfaStatusData {
    fn from(status: &FactorStatus) -> Self {
        let count = |kind| status.factors.iter().filter(|factor| factor.kind == kind).count();
        let method = |factor: &Factor| MethodData {
            kind: factor.kind.as_str(),
            device_name: (!factor.name.is_empty()).then(|| factor.name.clone()),
            is_primary: factor.is_primary,
            verified: true,
            last_used_at: factor.last_used_at.map(at),
        };
        Self {
            mfa_enabled: !status.factors.is_empty(),
            methods: status.factors.iter().map(method).collect(),
            totp_enabled: count(FactorKind::Totp) > 0,
            email_otp_enabled: count(FactorKind::EmailOtp) > 0,
            sms_otp_enabled: count(FactorKind::SmsOtp) > 0,
            totp_devices_count: count(FactorKind::Totp),
            backup_codes_remaining: status.recovery_codes.remaining,
        }
    }
}

/// A device became a trusted one.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct DeviceActivatedData {
    id: i64,
    device_name: String,
    /// Always `true`.
    is_active: bool,
    created_at: String,
    message: String,
}

impl DeviceActivatedData {
    pub(super) fn respond(device: &TrustedDevice) -> Response {
        const MESSAGE: &str = "This device is trusted from now on.";
        let data = Self {
            id: device.number,
            device_name: device.name.clone(),
            is_active: true,
            created_at: at(device.created_at),
            message: MESSAGE.to_owned(),
        };
        envelope(StatusCode::OK, data, MESSAGE)
    }
}

/// The account's trusted devices.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct DevicesData {
    devices: Vec<DeviceData>,
    total_count: usize,
}

#[derive(Serialize, ToSchema)]
struct DeviceData {
    id: i64,
    device_name: String,
    /// A keyed hash.
    device_fingerprint: String,
    user_agent: String,
    ip_address: String,
    /// Always `true`.
    is_active: bool,
    created_at: String,
    last_used_at: Option<String>,
}

impl From<&[TrustedDevice]> for DevicesData {
    fn from(devices: &[TrustedDevice]) -> Self {
        let render = |device: &TrustedDevice| DeviceData {
            id: device.number,
            device_name: device.name.clone(),
            device_fingerprint: hex::encode(&device.fingerprint),
            user_agent: device.user_agent.clone(),
            ip_address: device.ip.clone(),
            is_active: true,
            created_at: at(device.created_at),
            last_used_at: device.last_used_at.map(at),
        };
        Self { devices: devices.iter().map(render).collect(), total_count: devices.len() }
    }
}

/// Something was removed.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct RemovedData {
    /// Always `true`.
    success: bool,
    message: String,
}

impl RemovedData {
    pub(super) fn respond(message: &str) -> Response {
        envelope(StatusCode::OK, Self { success: true, message: message.to_owned() }, message)
    }
}
