//! Typed columns: one declaration gives the row, its Arrow schema, the builder, the borrowed view and the doc table.
//!
//! A column that a scan did not ask for, or that an older file lacks, reads as all null. That is what lets a fold name
//! only the columns it needs.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, ListBuilder, PrimitiveBuilder, StringViewBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, TimestampMicrosecondType, UInt8Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, ListArray, PrimitiveArray};
use arrow_schema::{DataType, Field, TimeUnit};

use crate::{Ip, Time, Uid};

/// What a declared column says about itself.
#[derive(Debug, Clone)]
pub struct ColumnDoc {
    /// Column name, an OCSF path flattened with `_`.
    pub name: &'static str,
    /// Arrow type.
    pub data_type: DataType,
    /// Whether a row may lack it.
    pub nullable: bool,
    /// What it means, one or two sentences.
    pub about: &'static str,
}

impl ColumnDoc {
    /// The Arrow field.
    pub fn field(&self) -> Field {
        Field::new(self.name, self.data_type.clone(), self.nullable)
    }
}

/// A Rust type that can stand in a column.
pub trait Cell: Default {
    /// Appends cells.
    type Builder;
    /// Reads them back.
    type View<'a>;
    /// Whether a row may lack it.
    const NULLABLE: bool;
    /// Arrow type of the column.
    fn data_type() -> DataType;
    /// An empty builder.
    fn builder() -> Self::Builder;
    /// Appends this value.
    fn append(self, builder: &mut Self::Builder);
    /// Takes what was appended; the builder is empty again.
    fn finish(builder: &mut Self::Builder) -> ArrayRef;
    /// Reads a column; `None` (or a column of another type) reads as all null.
    fn view(array: Option<&ArrayRef>) -> Self::View<'_>;
}

/// A column of numbers, booleans, times or identities: `get(row)` gives the value or `None`.
#[derive(Debug)]
pub struct Column<'a, A>(Option<&'a A>);

impl<A: Array> Column<'_, A> {
    fn present(&self, row: usize) -> Option<&A> {
        self.0.filter(|array| row < array.len() && !array.is_null(row))
    }
}

impl<P: ArrowPrimitiveType> Column<'_, PrimitiveArray<P>> {
    /// The value in this row.
    pub fn get(&self, row: usize) -> Option<P::Native> {
        self.present(row).map(|array| array.value(row))
    }
}

impl Column<'_, BooleanArray> {
    /// The value in this row.
    pub fn get(&self, row: usize) -> Option<bool> {
        self.present(row).map(|array| array.value(row))
    }
}

/// A column of instants.
#[derive(Debug)]
pub struct TimeColumn<'a>(Column<'a, PrimitiveArray<TimestampMicrosecondType>>);

impl TimeColumn<'_> {
    /// The instant in this row; [`Time::UNKNOWN`] where the column has none.
    pub fn get(&self, row: usize) -> Time {
        self.0.get(row).map_or(Time::UNKNOWN, Time)
    }
}

/// A column of 16 bytes: addresses or identities.
#[derive(Debug)]
pub struct BytesColumn<'a>(Column<'a, FixedSizeBinaryArray>);

impl BytesColumn<'_> {
    fn bytes(&self, row: usize) -> Option<[u8; 16]> {
        self.0.present(row).and_then(|array| array.value(row).try_into().ok())
    }
}

/// A column of addresses.
#[derive(Debug)]
pub struct IpColumn<'a>(BytesColumn<'a>);

impl IpColumn<'_> {
    /// The address in this row.
    pub fn get(&self, row: usize) -> Option<Ip> {
        self.0.bytes(row).map(Ip)
    }
}

/// A column of record identities.
#[derive(Debug)]
pub struct UidColumn<'a>(BytesColumn<'a>);

impl UidColumn<'_> {
    /// The identity in this row; all zero where the column has none.
    pub fn get(&self, row: usize) -> Uid {
        self.0.bytes(row).map_or_else(Uid::default, Uid)
    }
}

/// A column of text, whichever of Arrow's layouts it has.
#[derive(Debug)]
pub struct TextColumn<'a>(Option<&'a ArrayRef>);

impl<'a> TextColumn<'a> {
    /// The text in this row; empty text is `None`, because an export cannot tell the two apart.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        let text = text_at(self.0?, row)?;
        (!text.is_empty()).then_some(text)
    }
}

fn text_at(array: &ArrayRef, row: usize) -> Option<&str> {
    if row >= array.len() || array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        _ => None,
    }
}

/// A column of lists of text.
#[derive(Debug)]
pub struct TextListColumn<'a>(Column<'a, ListArray>);

impl TextListColumn<'_> {
    /// The texts in this row; empty where there are none.
    pub fn get(&self, row: usize) -> Vec<String> {
        let Some(list) = self.0.present(row) else { return Vec::new() };
        let items = list.value(row);
        (0..items.len()).filter_map(|item| text_at(&items, item).map(str::to_owned)).collect()
    }
}

macro_rules! primitive_cell {
    ($native:ty, $arrow:ty, $data_type:expr) => {
        impl Cell for $native {
            type Builder = PrimitiveBuilder<$arrow>;
            type View<'a> = Column<'a, PrimitiveArray<$arrow>>;
            const NULLABLE: bool = false;
            fn data_type() -> DataType {
                $data_type
            }
            fn builder() -> Self::Builder {
                PrimitiveBuilder::new()
            }
            fn append(self, builder: &mut Self::Builder) {
                builder.append_value(self);
            }
            fn finish(builder: &mut Self::Builder) -> ArrayRef {
                Arc::new(builder.finish())
            }
            fn view(array: Option<&ArrayRef>) -> Self::View<'_> {
                Column(array.and_then(|array| array.as_primitive_opt()))
            }
        }
        impl Cell for Option<$native> {
            type Builder = PrimitiveBuilder<$arrow>;
            type View<'a> = Column<'a, PrimitiveArray<$arrow>>;
            const NULLABLE: bool = true;
            fn data_type() -> DataType {
                $data_type
            }
            fn builder() -> Self::Builder {
                PrimitiveBuilder::new()
            }
            fn append(self, builder: &mut Self::Builder) {
                builder.append_option(self);
            }
            fn finish(builder: &mut Self::Builder) -> ArrayRef {
                Arc::new(builder.finish())
            }
            fn view(array: Option<&ArrayRef>) -> Self::View<'_> {
                <$native as Cell>::view(array)
            }
        }
    };
}

primitive_cell!(u8, UInt8Type, DataType::UInt8);
primitive_cell!(u32, UInt32Type, DataType::UInt32);
primitive_cell!(u64, UInt64Type, DataType::UInt64);

impl Cell for Option<f64> {
    type Builder = Float64Builder;
    type View<'a> = Column<'a, PrimitiveArray<Float64Type>>;
    const NULLABLE: bool = true;
    fn data_type() -> DataType {
        DataType::Float64
    }
    fn builder() -> Self::Builder {
        Float64Builder::new()
    }
    fn append(self, builder: &mut Self::Builder) {
        builder.append_option(self);
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn view(array: Option<&ArrayRef>) -> Self::View<'_> {
        Column(array.and_then(|array| array.as_primitive_opt()))
    }
}

impl Cell for Option<bool> {
    type Builder = BooleanBuilder;
    type View<'a> = Column<'a, BooleanArray>;
    const NULLABLE: bool = true;
    fn data_type() -> DataType {
        DataType::Boolean
    }
    fn builder() -> Self::Builder {
        BooleanBuilder::new()
    }
    fn append(self, builder: &mut Self::Builder) {
        builder.append_option(self);
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn view(array: Option<&ArrayRef>) -> Self::View<'_> {
        Column(array.and_then(|array| array.as_boolean_opt()))
    }
}

impl Cell for Time {
    type Builder = TimestampMicrosecondBuilder;
    type View<'a> = TimeColumn<'a>;
    const NULLABLE: bool = false;
    fn data_type() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    }
    fn builder() -> Self::Builder {
        TimestampMicrosecondBuilder::new().with_timezone("UTC")
    }
    fn append(self, builder: &mut Self::Builder) {
        builder.append_value(self.0);
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn view(array: Option<&ArrayRef>) -> Self::View<'_> {
        TimeColumn(Column(array.and_then(|array| array.as_primitive_opt())))
    }
}

fn bytes_view(array: Option<&ArrayRef>) -> BytesColumn<'_> {
    BytesColumn(Column(
        array.and_then(|array| array.as_fixed_size_binary_opt()).filter(|array| array.value_length() == 16),
    ))
}

impl Cell for Uid {
    type Builder = FixedSizeBinaryBuilder;
    type View<'a> = UidColumn<'a>;
    const NULLABLE: bool = false;
    fn data_type() -> DataType {
        DataType::FixedSizeBinary(16)
    }
    fn builder() -> Self::Builder {
        FixedSizeBinaryBuilder::new(16)
    }
    fn append(self, builder: &mut Self::Builder) {
        builder.append_value(self.0).expect("16 bytes go into a column of 16 bytes");
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn view(array: Option<&ArrayRef>) -> Self::View<'_> {
        UidColumn(bytes_view(array))
    }
}

impl Cell for Option<Ip> {
    type Builder = FixedSizeBinaryBuilder;
    type View<'a> = IpColumn<'a>;
    const NULLABLE: bool = true;
    fn data_type() -> DataType {
        DataType::FixedSizeBinary(16)
    }
    fn builder() -> Self::Builder {
        FixedSizeBinaryBuilder::new(16)
    }
    fn append(self, builder: &mut Self::Builder) {
        match self {
            Some(ip) => builder.append_value(ip.0).expect("16 bytes go into a column of 16 bytes"),
            None => builder.append_null(),
        }
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn view(array: Option<&ArrayRef>) -> Self::View<'_> {
        IpColumn(bytes_view(array))
    }
}

impl Cell for Option<String> {
    type Builder = StringViewBuilder;
    type View<'a> = TextColumn<'a>;
    const NULLABLE: bool = true;
    fn data_type() -> DataType {
        DataType::Utf8View
    }
    fn builder() -> Self::Builder {
        StringViewBuilder::new()
    }
    fn append(self, builder: &mut Self::Builder) {
        builder.append_option(self);
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn view(array: Option<&ArrayRef>) -> Self::View<'_> {
        TextColumn(array)
    }
}

impl Cell for Vec<String> {
    type Builder = ListBuilder<StringViewBuilder>;
    type View<'a> = TextListColumn<'a>;
    const NULLABLE: bool = true;
    fn data_type() -> DataType {
        DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)))
    }
    fn builder() -> Self::Builder {
        ListBuilder::new(StringViewBuilder::new())
    }
    fn append(self, builder: &mut Self::Builder) {
        let is_empty = self.is_empty();
        for text in self {
            builder.values().append_value(text);
        }
        builder.append(!is_empty);
    }
    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
    fn view(array: Option<&ArrayRef>) -> Self::View<'_> {
        TextListColumn(Column(array.and_then(|array| array.as_list_opt::<i32>())))
    }
}

/// Declares a group of columns: the row, its builder, its view, and what each column means.
#[macro_export]
macro_rules! columns {
    ($(#[doc = $about:expr])* $row:ident / $builder:ident / $view:ident {
        $($(#[doc = $doc:expr])* $name:ident: $cell:ty,)*
    }) => {
        $(#[doc = $about])*
        #[derive(Debug, Default, Clone, PartialEq)]
        pub struct $row {
            $($(#[doc = $doc])* pub $name: $cell,)*
        }

        /// Appends rows column by column.
        #[derive(Debug)]
        pub struct $builder {
            $($name: <$cell as $crate::columns::Cell>::Builder,)*
        }

        impl Default for $builder {
            fn default() -> Self {
                Self { $($name: <$cell as $crate::columns::Cell>::builder(),)* }
            }
        }

        impl $builder {
            /// Appends one row.
            pub fn push(&mut self, row: $row) {
                $($crate::columns::Cell::append(row.$name, &mut self.$name);)*
            }

            /// Takes the columns, in the order of the declaration.
            pub fn finish(&mut self) -> Vec<arrow_array::ArrayRef> {
                vec![$(<$cell as $crate::columns::Cell>::finish(&mut self.$name),)*]
            }
        }

        /// Reads the columns of a batch by name; absent ones read as null.
        #[derive(Debug)]
        pub struct $view<'a> {
            $($(#[doc = $doc])* pub $name: <$cell as $crate::columns::Cell>::View<'a>,)*
        }

        impl<'a> $view<'a> {
            /// Looks at a batch.
            pub fn new(batch: &'a arrow_array::RecordBatch) -> Self {
                Self { $($name: <$cell as $crate::columns::Cell>::view(batch.column_by_name(stringify!($name))),)* }
            }
        }

        impl $row {
            /// What each column means, in order.
            pub fn docs() -> Vec<$crate::columns::ColumnDoc> {
                vec![$($crate::columns::ColumnDoc {
                    name: stringify!($name),
                    data_type: <$cell as $crate::columns::Cell>::data_type(),
                    nullable: <$cell as $crate::columns::Cell>::NULLABLE,
                    about: concat!($($doc,)*).trim_ascii(),
                },)*]
            }
        }
    };
}
