//! Requests to addresses that others than the operator have chosen: those at which applications want to be told of something.

use std::sync::Arc;
use std::time::Duration;

use tidegate_domain::logout::BackchannelReach;
use url::Url;

use crate::error::FederationError;
use crate::outgoing::Outgoing;
use crate::reach::Reach;

/// Longest time for one request. An application that does its work afterwards answers at once.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Posts forms to applications.
#[derive(Clone, Debug)]
pub struct Notifier {
    usual: Arc<Outgoing>,
    /// For addresses of this machine, where they are admitted.
    here: Option<Arc<Outgoing>>,
}

impl Notifier {
    /// Prepares requests; connects to nothing yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(reach: BackchannelReach) -> Result<Self, String> {
        let of = |reach| Outgoing::new(reach, TIMEOUT).map(Arc::new);
        Ok(match reach {
            BackchannelReach::Internet => Self { usual: of(Reach::Internet)?, here: None },
            BackchannelReach::PrivateNetwork => Self { usual: of(Reach::PrivateNetwork)?, here: None },
            BackchannelReach::ThisMachine => {
                Self { usual: of(Reach::PrivateNetwork)?, here: Some(of(Reach::ThisMachine)?) }
            }
        })
    }

    /// Posts a form to `url`; answers the status. `what` names the request in logs.
    ///
    /// # Errors
    /// [`FederationError`]: also for an address that may not be called.
    pub async fn post_form(
        &self,
        what: &str,
        url: &str,
        form: &[(&str, &str)],
    ) -> Result<u16, FederationError> {
        let url = Url::parse(url)
            .map_err(|_| FederationError::Misconfigured(format!("{what}: the address is none")))?;
        let outgoing = self.outgoing(&url);
        let answer = outgoing.ask(what, outgoing.post(&url).form(form)).await?;
        Ok(answer.status.as_u16())
    }

    fn outgoing(&self, url: &Url) -> &Outgoing {
        match &self.here {
            Some(here) if Reach::of(url, true) == Reach::ThisMachine => here,
            _ => &self.usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(reach: BackchannelReach, url: &str) -> bool {
        let notifier = Notifier::new(reach).unwrap();
        let url = Url::parse(url).unwrap();
        notifier.outgoing(&url).require_admitted("logout", &url).is_ok()
    }

    #[test]
    fn an_application_is_called_where_the_operator_lets_this_server_call() {
        let public = "https://shop.example.com/logout";
        let (private, here) = ("https://10.0.0.1/logout", "http://127.0.0.1:4000/logout");
        let metadata = "https://169.254.169.254/latest";
        for (reach, admitted) in [
            (BackchannelReach::Internet, [true, false, false]),
            (BackchannelReach::PrivateNetwork, [true, true, false]),
            (BackchannelReach::ThisMachine, [true, true, true]),
        ] {
            assert_eq!([public, private, here].map(|url| admits(reach, url)), admitted, "{reach:?}");
            assert!(
                !admits(reach, metadata) && !admits(reach, "http://shop.example.com/logout"),
                "{reach:?}"
            );
        }
    }
}
