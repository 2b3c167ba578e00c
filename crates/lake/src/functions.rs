//! SQL functions for addresses and identities, which the lake stores as 16 bytes.

use std::net::IpAddr;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, FixedSizeBinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use matagi_model::{Ip, Uid};

/// Type of addresses and identities.
const BYTES16: DataType = DataType::FixedSizeBinary(16);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// `ip('192.0.2.1')`: text to address.
    Ip,
    /// `ip_text(src_ip)`: address to text.
    IpText,
    /// `cidr(src_ip, '192.0.2.0/24')`: whether an address lies in a network.
    Cidr,
    /// `uid('0a1b...')`: 32 hexadecimal digits to identity.
    Uid,
    /// `uid_text(event_uid)`: identity to text.
    UidText,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    kind: Kind,
    signature: Signature,
}

/// All of them.
pub(crate) fn all() -> Vec<ScalarUDF> {
    [Kind::Ip, Kind::IpText, Kind::Cidr, Kind::Uid, Kind::UidText]
        .into_iter()
        .map(|kind| {
            let arguments = if kind == Kind::Cidr { 2 } else { 1 };
            ScalarUDF::new_from_impl(Function { kind, signature: Signature::any(arguments, Volatility::Immutable) })
        })
        .collect()
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Ip => "ip",
            Kind::IpText => "ip_text",
            Kind::Cidr => "cidr",
            Kind::Uid => "uid",
            Kind::UidText => "uid_text",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let is_text = |index: usize| {
            matches!(arguments[index], DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
        };
        let is_bytes = |index: usize| matches!(arguments[index], DataType::FixedSizeBinary(16) | DataType::Null);
        match self.kind {
            Kind::Ip | Kind::Uid if is_text(0) => Ok(BYTES16),
            Kind::IpText | Kind::UidText if is_bytes(0) => Ok(DataType::Utf8),
            Kind::Cidr if is_bytes(0) && is_text(1) => Ok(DataType::Boolean),
            Kind::Ip => plan_err!("ip() takes an address as text: ip('192.0.2.1')"),
            Kind::Uid => plan_err!("uid() takes 32 hexadecimal digits as text"),
            Kind::IpText => plan_err!("ip_text() takes an address column such as src_ip"),
            Kind::UidText => plan_err!("uid_text() takes an identity column such as event_uid"),
            Kind::Cidr => plan_err!("cidr() takes an address column and a network: cidr(src_ip, '192.0.2.0/24')"),
        }
    }

    /// A network is a range of bytes; as a range, statistics of files and row groups can rule it out.
    fn simplify(&self, arguments: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let network = match (self.kind, arguments.get(1)) {
            (Kind::Cidr, Some(Expr::Literal(value, _))) => value.try_as_str().flatten().map(str::to_owned),
            _ => None,
        };
        let (Some(network), Some(address)) = (network, arguments.first()) else {
            return Ok(ExprSimplifyResult::Original(arguments));
        };
        let Some((first, last)) = range(&network) else { return exec_err!("'{network}' is not a network") };
        let bound = |ip: Ip| lit(ScalarValue::FixedSizeBinary(16, Some(ip.0.to_vec())));
        Ok(ExprSimplifyResult::Simplified(address.clone().between(bound(first), bound(last))))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let are_scalars = arguments.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if are_scalars { 1 } else { arguments.number_rows };
        let arrays =
            arguments.args.iter().map(|value| text_or_bytes(&value.to_array(rows)?)).collect::<Result<Vec<_>>>()?;
        let array = self.evaluate(&arrays, rows)?;
        if !are_scalars {
            return Ok(ColumnarValue::Array(array));
        }
        if array.is_null(0) && !arrays.iter().any(|array| array.is_null(0)) {
            let text = arrays[arrays.len() - 1].as_string::<i32>().value(0);
            return exec_err!("{}(): '{text}' cannot be read", self.name());
        }
        Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
    }
}

/// Text in one layout; bytes as they are.
fn text_or_bytes(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(if array.data_type() == &BYTES16 { Arc::clone(array) } else { arrow_cast::cast(array, &DataType::Utf8)? })
}

impl Function {
    /// Row by row; what cannot be read is null.
    fn evaluate(&self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let bytes = |row: usize| -> Option<[u8; 16]> {
            let array = arrays[0].as_fixed_size_binary_opt()?;
            (!array.is_null(row)).then(|| array.value(row).try_into().ok()).flatten()
        };
        let text = |argument: usize, row: usize| -> Option<&str> {
            let array = arrays[argument].as_string_opt::<i32>()?;
            (!array.is_null(row)).then(|| array.value(row))
        };
        Ok(match self.kind {
            Kind::Ip | Kind::Uid => {
                let mut builder = FixedSizeBinaryBuilder::with_capacity(rows, 16);
                for row in 0..rows {
                    let value = text(0, row).and_then(|text| parse(self.kind, text));
                    match value {
                        Some(value) => builder.append_value(value)?,
                        None => builder.append_null(),
                    }
                }
                Arc::new(builder.finish())
            }
            Kind::IpText | Kind::UidText => {
                let mut builder = StringBuilder::new();
                for row in 0..rows {
                    let format =
                        |value| if self.kind == Kind::IpText { Ip(value).to_string() } else { Uid(value).to_string() };
                    builder.append_option(bytes(row).map(format));
                }
                Arc::new(builder.finish())
            }
            Kind::Cidr => {
                let mut builder = BooleanBuilder::with_capacity(rows);
                for row in 0..rows {
                    let network = text(1, row).and_then(range);
                    builder.append_option(
                        bytes(row).zip(network).map(|(ip, (first, last))| (first..=last).contains(&Ip(ip))),
                    );
                }
                Arc::new(builder.finish())
            }
        })
    }
}

fn parse(kind: Kind, text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    if kind == Kind::Uid {
        text.parse().ok().map(|uid: Uid| uid.0)
    } else {
        text.parse().ok().map(|ip: IpAddr| Ip::from(ip).0)
    }
}

/// First and last address of a network; a bare address is a network of one.
fn range(network: &str) -> Option<(Ip, Ip)> {
    let network = network.trim();
    let (address, bits) = network.split_once('/').map_or((network, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let width: u32 = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(width), |bits| bits.parse().ok().filter(|bits| *bits <= width))?;
    let host = u128::MAX.checked_shr(128 - width + bits).unwrap_or(0);
    let address = u128::from_be_bytes(Ip::from(address).0);
    Some((Ip((address & !host).to_be_bytes()), Ip((address | host).to_be_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_range() {
        let text = |network| range(network).map(|(first, last)| format!("{first} {last}"));
        assert_eq!(text("192.0.2.77/24").unwrap(), "192.0.2.0 192.0.2.255");
        assert_eq!(text("0.0.0.0/0").unwrap(), "0.0.0.0 255.255.255.255");
        assert_eq!(text("192.0.2.1").unwrap(), "192.0.2.1 192.0.2.1");
        assert_eq!(text("2001:db8::/32").unwrap(), "2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
        assert_eq!(range("::/0").unwrap().1, Ip([255; 16]));
        assert_eq!((range("192.0.2.0/33"), range("x/8"), range("")), (None, None, None));
    }
}
