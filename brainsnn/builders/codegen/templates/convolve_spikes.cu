{# Event-driven convolution: a target looks at the spikes of its receptive field. Neighbouring threads are neighbouring
   output channels: they read the same words of the bit map and neighbouring weights. The kernel is stored once, as
   (row tap, column tap, input channel, output channel). #}
{# USES_VARIABLES { _spikes, _table_spiked, w, _table_row_first, _table_row_source, _table_row_tap,
                    _table_col_first, _table_col_source, _table_col_tap, _table_channel_start, _table_channel_first, _table_channel_last } #}
{% extends 'gather_spikes.cu' %}
{% block sources %}
    const int _target_channel = _target % {{n_target_channels}};
    const int _row = (_target / {{n_target_channels}}) / {{n_target_columns}};
    const int _col = (_target / {{n_target_channels}}) % {{n_target_columns}};
    const int _first_word = {{_table_channel_first}}[_target_channel]/32, _last_channel = {{_table_channel_last}}[_target_channel];
    for (int _r={{_table_row_first}}[_row]; _r<{{_table_row_first}}[_row + 1]; _r++)
    for (int _c={{_table_col_first}}[_col]; _c<{{_table_col_first}}[_col + 1]; _c++)
    {
        const int _place = {{_table_row_source}}[_r]*{{n_columns}} + {{_table_col_source}}[_c];
        const size_t _tap = ((size_t){{_table_row_tap}}[_r]*{{n_column_taps}} + {{_table_col_tap}}[_c])*{{n_channels}};
        for (int _word=_first_word; _word*32<_last_channel; _word++)
        for (unsigned int _bits=_bit_map[(size_t)_place*{{n_channel_words}} + _word]; _bits; _bits&=_bits - 1)
        {
            const int _channel = _word*32 + __ffs(_bits) - 1;
            {% if full %}
            const int _fan = _target_channel;
            {% else %}
            const int _fan = _target_channel - {{_table_channel_start}}[_channel];
            if (_fan < 0 || _fan >= {{n_fan_channels}})
                continue;
            {% endif %}
            const int _source = _place*{{n_channels}} + _channel;
            const size_t _weight = (_tap + _channel)*{{n_fan_channels}} + _fan;
            {% include 'spike_statement.cu' %}
        }
    }
{% endblock %}
