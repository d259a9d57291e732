//! Stub.
pub(crate) struct Options;
impl Options {
    pub(crate) fn parse(_w: &[String]) -> anyhow::Result<Self> {
        Ok(Self)
    }
}
pub(crate) fn run(_o: &Options) -> anyhow::Result<()> {
    Ok(())
}
