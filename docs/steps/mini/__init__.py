from mini.core import Config, Function, Parameter, Variable, as_array, as_variable, no_grad, test_mode, using_config
