//! The broker as anybody reaches it, past the project's own transport.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

/// A channel to the broker of a URL.
pub async fn connect(url: &str) -> Channel {
    let connection = Connection::connect(url, ConnectionProperties::default()).await;
    let channel = connection.expect("connects").create_channel().await;
    channel.expect("a channel")
}

/// Publishes anything anywhere, and waits until the broker has it.
pub async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
) -> Result<(), lapin::Error> {
    let confirms = ConfirmSelectOptions::default();
    channel.confirm_select(confirms).await?;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let sent = channel.basic_publish(exchange.into(), key.into(), options, body, properties);
    sent.await?.await?;
    Ok(())
}
