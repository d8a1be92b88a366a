{# Seeds the generators of a standalone program; each takes the next value of trial_seed. Older programs draw from NumPy's C
   library, newer ones from the standard library: the same Mersenne twister, one for each thread, and the same numbers. #}
{% if has_standard_generators %}
        for (auto& generator : _random_generators)
            generator.seed(trial_seed++);
{% else %}
        for (auto* generator : _mersenne_twister_states)
            rk_seed(trial_seed++, generator);
{% endif %}
