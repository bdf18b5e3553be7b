//! Rows in the binary format of `COPY` (PostgreSQL's manual, "COPY", "Binary Format"): per row the number
//! of its fields, per field its length and its bytes, big endian.

use sqlx::PgConnection;
use sqlx::postgres::PgCopyIn;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;
/// Bytes that go out at once.
const PIECE_BYTES: usize = 256 << 10;
/// A row fits behind a piece that is not full.
const CAPACITY_BYTES: usize = PIECE_BYTES + (16 << 10);

/// A `COPY … FROM STDIN (FORMAT binary)` that goes on.
pub struct Copy<'c> {
    copy: PgCopyIn<&'c mut PgConnection>,
    fields: Fields,
}

/// Fields on their way.
#[derive(Default)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// Begins a row of so many fields.
    pub fn begin(&mut self, fields: i16) {
        self.0.extend_from_slice(&fields.to_be_bytes());
    }

    /// A bigint.
    pub fn bigint(&mut self, number: i64) {
        self.bytes(&number.to_be_bytes());
    }

    /// A smallint.
    pub fn smallint(&mut self, number: i16) {
        self.bytes(&number.to_be_bytes());
    }

    /// A bytea.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let length = i32::try_from(bytes.len()).expect("what is stored of a reading is short");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// Nothing.
    pub fn null(&mut self) {
        self.0.extend_from_slice(&(-1_i32).to_be_bytes());
    }
}

impl<'c> Copy<'c> {
    /// Begins to copy into `target`, a table with its columns.
    pub async fn begin(connection: &'c mut PgConnection, target: &str) -> sqlx::Result<Copy<'c>> {
        let copy = connection.copy_in_raw(&format!("copy {target} from stdin (format binary)")).await?;
        let mut fields = Fields(Vec::with_capacity(CAPACITY_BYTES));
        fields.0.extend_from_slice(HEADER);
        Ok(Copy { copy, fields })
    }

    /// Where the next row is written.
    pub async fn row(&mut self) -> sqlx::Result<&mut Fields> {
        if self.fields.0.len() >= PIECE_BYTES {
            self.copy.send(self.fields.0.as_slice()).await?;
            self.fields.0.clear();
        }
        Ok(&mut self.fields)
    }

    /// All rows are written.
    pub async fn finish(mut self) -> sqlx::Result<()> {
        self.fields.0.extend_from_slice(&TRAILER.to_be_bytes());
        self.copy.send(self.fields.0.as_slice()).await?;
        self.copy.finish().await?;
        Ok(())
    }
}
