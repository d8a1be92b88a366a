{# The statement of a connection for one spike. Each array starts at its own offset: weights at `_weight`, source
   variables at `_source`. Variables of the target stay in registers of its thread until the last spike. #}
{
    {% for array in shifted_arrays(variables, variable_indices, get_array_name, tables) %}
    {% if array.offset == '_target' %}
    {{array.type}}* const {{array.pointer}} = &_own_{{loop.index0}};
    {% else %}
    {{array.type}}* const {{array.pointer}} = _base_{{loop.index0}} + {{array.offset}};
    {% endif %}
    {% endfor %}
    const int _idx = 0, _vectorisation_idx = 0;
    {{vector_code|autoindent}}
}
