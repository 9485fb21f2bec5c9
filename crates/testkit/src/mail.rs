//! The mails of a mailbox.

use tidegate_domain::EmailAddress;
use tidegate_domain::account::LoginName;
use tidegate_kernel::deliver::OutboxEntry;

use crate::TestApp;

impl TestApp {
    /// The mails to an address, newest first; those that are never sent are not among them.
    ///
    /// # Panics
    /// When the outbox cannot be read.
    pub async fn mails_to(&self, email: &str) -> Vec<OutboxEntry> {
        let email = LoginName::Email(EmailAddress::parse(email).expect("an address"));
        let mails = self.kernel().list_outbox(Some(&email), 1_000).await.expect("the outbox");
        mails.into_iter().filter(|mail| mail.message.state != "discarded").collect()
    }

    /// The templates of the mails to an address, newest first.
    pub async fn templates_to(&self, email: &str) -> Vec<String> {
        self.mails_to(email).await.into_iter().map(|mail| mail.message.template).collect()
    }

    /// The newest one-time code sent to an address.
    ///
    /// # Panics
    /// When there is none.
    pub async fn latest_code(&self, email: &str) -> String {
        let mails = self.mails_to(email).await;
        mails.iter().find_map(|mail| mail.code()).expect("a mail with a code").to_owned()
    }

    /// The token of the newest link sent to an address.
    ///
    /// # Panics
    /// When there is none.
    pub async fn latest_link_token(&self, email: &str) -> String {
        let mails = self.mails_to(email).await;
        let link = mails.iter().find_map(|mail| mail.link()).expect("a mail with a link");
        link.split_once("token=").expect("a link with a token").1.to_owned()
    }
}
