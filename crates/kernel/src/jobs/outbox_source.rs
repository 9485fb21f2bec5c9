//! The outbox as work of the runner.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::Kernel;
use crate::fault::Fault;
use crate::jobs::source::{Claimed, Source};
use crate::tables::outbox::Channel;

/// Messages sent at a time on each channel. A slow mail server does not keep text messages waiting, nor the other way round.
const AT_ONCE: usize = 10;

/// The messages of one channel.
pub(crate) struct OutboxSource {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) channel: Channel,
}

impl Source for OutboxSource {
    fn name(&self) -> &'static str {
        self.channel.as_str()
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    fn news(&self) -> BoxFuture<'_, ()> {
        match self.channel {
            Channel::Email => self.kernel.memory.mails.notified().boxed(),
            Channel::Sms => self.kernel.memory.texts.notified().boxed(),
        }
    }

    fn claim<'s>(
        &'s self,
        room: usize,
        _: &'s watch::Receiver<bool>,
    ) -> BoxFuture<'s, Result<Claimed, Fault>> {
        async move {
            let claimed = self.kernel.claim_messages(self.channel, room).await?;
            let more = claimed.len() >= room;
            let work = claimed.into_iter().map(|message| {
                let (kernel, channel) = (Arc::clone(&self.kernel), self.channel);
                async move { kernel.deliver_claimed(channel, &message).await }.boxed()
            });
            Ok(Claimed { work: work.collect(), more })
        }
        .boxed()
    }
}
