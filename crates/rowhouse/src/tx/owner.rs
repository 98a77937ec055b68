//! The connection of the database's owner.

use crate::connect::{Secret, single};
use crate::error::Result;

/// The connection of the database's owner (a superuser, or a member of `rowhouse_migrator`): for migrations, for
/// putting tables behind the wall, for rotating the seal. The wall does not bind a superuser.
#[derive(Debug)]
pub struct Owner {
    client: tokio_postgres::Client,
    url: Secret,
}

impl Owner {
    /// Connects. What the login may do shows when it does it.
    pub async fn connect(url: impl Into<Secret>) -> Result<Self> {
        let url = url.into();
        Ok(Self {
            client: single(&url, false).await?,
            url,
        })
    }

    /// The same without startup options, which poolers refuse: for a guest who reads, whoever he is. What the server or
    /// the login has stored as settings holds.
    pub async fn connect_as_guest(url: impl Into<Secret>) -> Result<Self> {
        let url = url.into();
        Ok(Self {
            client: single(&url, true).await?,
            url,
        })
    }

    /// A transaction; [`tokio_postgres::Transaction`] itself, since nothing is hidden from an owner.
    pub async fn begin(&mut self) -> Result<tokio_postgres::Transaction<'_>> {
        Ok(self.client.transaction().await?)
    }

    /// Another connection of the same owner.
    pub(crate) async fn another(&self) -> Result<tokio_postgres::Client> {
        single(&self.url, false).await
    }

    /// The connection itself.
    pub fn client(&mut self) -> &mut tokio_postgres::Client {
        &mut self.client
    }
}
